"""IPsec policies that block and allow, at every place where the kernel asks for one, each packet judged by the kernel."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest

from .hosts import Host, host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: builds network namespaces")

ENDS = {4: ("10.1.0.1", "10.2.0.2", "10.0.0.0/8"), 6: ("2001:db8:1::1", "2001:db8:2::2", "2001:db8::/32")}
PLACES = {"output": ("a", "out"), "forward": ("b", "fwd"), "forward-out": ("b", "out"), "input": ("c", "in"), "answer-output": ("c", "out"),
          "answer-input": ("a", "in")}


def road(*policies: str, version: int = 4, kinds: tuple[tuple[str, Any, int], ...] = (), by_hand: bool = True) -> Host:
    """a -- b -- c. ``by_hand``: with neighbours made so, since ICMPv6 as a whole may be blocked."""
    src, dst, _ = ENDS[version]
    far = "10.{}.0.{}" if version == 4 else "2001:db8:{}::{}"
    size, nodad = ("24", "") if version == 4 else ("64", " nodad")
    parts = ["a: link add a0 address 02:00:00:00:10:00 type veth peer name b0 address 02:00:00:00:11:00 netns NETNS(b)",
             "b: link add b1 address 02:00:00:00:11:01 type veth peer name c0 address 02:00:00:00:12:00 netns NETNS(c)"]
    for ns, dev, segment, number, mac in (("a", "a0", 1, 1, "11:00"), ("b", "b0", 1, 2, "10:00"), ("b", "b1", 2, 1, "12:00"),
                                          ("c", "c0", 2, 2, "11:01")):
        parts += [f"{ns}: link set {dev} up", f"{ns}: addr add {far.format(segment, number)}/{size} dev {dev}{nodad}"]
        if by_hand:
            parts.append(f"{ns}: neigh replace {far.format(segment, 3 - number)} lladdr 02:00:00:00:{mac} dev {dev}")
    parts += [f"a: route add default via {far.format(1, 2)}", f"c: route add default via {far.format(2, 1)}",
              "b: sysctl net/ipv4/ip_forward=1", "b: sysctl net/ipv6/conf/all/forwarding=1"]
    wild = "0.0.0.0" if version == 4 else "::"
    parts += [f"c: listen udp {wild} 53", f"c: listen tcp {wild} 80", *policies]
    packets = [{"how": how, "ns": "a", "proto": proto, "src": src if how == "raw" else "", "dst": dst, "sport": 20000 + number, "dport": dport}
               for number, (how, proto, dport) in enumerate(kinds or [
                   (how, *what) for how in ("socket", "raw")
                   for what in (("udp", 53), ("udp", 99), ("tcp", 80), ("tcp", 99), ("icmp", 0), (132, 7)) if how == "raw" or what[0] != 132])]
    return host(*parts, packets=packets)


def blocked(ns: str, direction: str, version: int) -> Host:
    net = ENDS[version][2]
    return road(f"{ns}: xfrm policy add dir {direction} src {net} dst {net} action block priority 10", version=version)


UDP = (("socket", "udp", 53), ("socket", "tcp", 80), ("raw", "udp", 53))
HOSTS = {f"{name}-{version}": blocked(ns, direction, version) for version in (4, 6) for name, (ns, direction) in PLACES.items()} | {
    "lowest-priority": road("b: xfrm policy add dir fwd src 10.0.0.0/8 dst 10.0.0.0/8 action block priority 5",
                            "b: xfrm policy add dir fwd src 10.1.0.0/24 dst 0.0.0.0/0 action allow priority 4", kinds=UDP),
    "oldest-of-equals": road("b: xfrm policy add dir fwd src 10.0.0.0/8 dst 10.0.0.0/8 action block priority 5",
                             "b: xfrm policy add dir fwd src 10.1.0.0/24 dst 0.0.0.0/0 action allow priority 5", kinds=UDP),
    "protocol-and-port": road("b: xfrm policy add dir fwd src 0.0.0.0/0 dst 0.0.0.0/0 proto udp dport 53 action block", kinds=UDP),
    "mark-of-nobody": road("b: xfrm policy add dir fwd src 0.0.0.0/0 dst 0.0.0.0/0 mark 5 action block", kinds=UDP),
    "device-without": road("b: xfrm policy add dir fwd src 0.0.0.0/0 dst 0.0.0.0/0 action block", "b: sysctl net/ipv4/conf/b0/disable_policy=1",
                           kinds=UDP),
    "loopback-is-free": road("a: xfrm policy add dir out src 0.0.0.0/0 dst 0.0.0.0/0 action block",
                             kinds=UDP) | {"packets": [{"how": "socket", "ns": "a", "proto": "udp", "src": "", "dst": "10.1.0.1", "sport": 20000,
                                                        "dport": 53}]},
    "another-direction": road("b: xfrm policy add dir in src 0.0.0.0/0 dst 0.0.0.0/0 action block", kinds=UDP),
}
HOSTS |= {f"discovery-{name}": road(f"{ns}: xfrm policy add dir {direction} src ::/0 dst {dst} proto ipv6-icmp action {action}",
                                    "b: listen udp :: 53", version=6, by_hand=False)
          | {"packets": [{"how": "socket", "ns": "a", "proto": "udp", "src": "", "dst": "2001:db8:1::2", "sport": 20000, "dport": 53}]}
          for name, ns, direction, dst, action in (
              ("not-asked", "a", "out", "::/0", "block"), ("asked-of-a-group", "a", "out", ENDS[6][2], "block"),
              ("not-heard", "b", "in", "::/0", "block"), ("not-answered", "b", "out", ENDS[6][2], "block"),
              ("answer-not-heard", "a", "in", ENDS[6][2], "block"), ("allowed", "a", "out", "::/0", "allow"))}
TRANSFORMED = road("a: xfrm policy add dir out src 10.0.0.0/8 dst 10.0.0.0/8 tmpl src 10.1.0.1 dst 10.2.0.2 proto esp mode transport", kinds=UDP)


@pytest.fixture(scope="module")
def judged() -> dict[str, list[Any]]:
    from tests.kernel.judge import with_bench

    def work(bench: Any) -> dict[str, list[Any]]:
        return {name: [[r.packet, r.verdict, r.end, [list(m) for m in r.mismatches], list(r.conditions)]
                       for r in bench.judged(copy.deepcopy(each))[0]] for name, each in {**HOSTS, "transformed": TRANSFORMED}.items()}

    return with_bench(work)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", HOSTS)
def test_the_kernel_agrees(judged: dict[str, list[Any]], name: str) -> None:
    results = judged[name]
    assert len(results) == len(HOSTS[name]["packets"]), "a packet could not be sent"
    assert not [each for each in results if each[3]]
    assert all(verdict != "depends" for _, verdict, *_ in results)


def test_both_ends_of_the_selectors_were_seen(judged: dict[str, list[Any]]) -> None:
    """Of the hosts whose policies pick: some of what they are asked about is blocked, some is not."""
    assert {verdict for _, verdict, *_ in judged["protocol-and-port"]} == {"dropped", "delivered"}
    assert {verdict for _, verdict, *_ in judged["lowest-priority"]} == {"delivered"}
    assert {verdict for _, verdict, *_ in judged["oldest-of-equals"]} == {"dropped"}


def test_discovery_is_under_policies(judged: dict[str, list[Any]]) -> None:
    """A solicitation goes to a group: a policy for the network's own addresses has only what answers it."""
    found = {name.removeprefix("discovery-"): judged[name][0][1] for name in HOSTS if name.startswith("discovery-")}
    assert {name for name, verdict in found.items() if verdict == "delivered"} == {"asked-of-a-group", "allowed"}
    assert set(found.values()) == {"delivered", "rejected"}


def test_what_is_transformed_is_not_followed(judged: dict[str, list[Any]]) -> None:
    for _, verdict, _, mismatches, conditions in judged["transformed"]:
        assert verdict == "depends" and not mismatches
        assert "IPsec policy dir out action allow" in conditions[0]
