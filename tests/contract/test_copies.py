"""Copies that rules send elsewhere are followed, and none of them is taken for the packet; frames a rule sends to a neighbour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab, told

pytestmark = pytest.mark.root
PORTS = iter(range(44000, 45000))
ENDS = {4: "10.2.0.2", 6: "2001:db8:2::2"}
MONITOR = {4: "10.3.0.2", 6: "2001:db8:3::2"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    """a - r - b, and a monitor beside r that takes what comes and forwards nothing."""
    lab = Lab("copy")
    try:
        lab.netns("r", "a", "b", "mon")
        for number, name in enumerate(("a", "b", "mon"), 1):
            lab.wire("r", f"eth{number}", name, "eth0")
            lab.sh("r", f"ip a add 10.{number}.0.1/24 dev eth{number}; ip a add 2001:db8:{number}::1/64 dev eth{number} nodad")
            lab.sh(name, f"ip a add 10.{number}.0.2/24 dev eth0; ip a add 2001:db8:{number}::2/64 dev eth0 nodad; ip r add default via 10.{number}.0.1; "
                         f"ip -6 r add default via 2001:db8:{number}::1")
        lab.sh("r", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        lab.listen("b", "udp", "0.0.0.0", 8000)
        lab.listen("b", "udp", "::", 8000)
        yield lab
    finally:
        lab.close()


def crosses(lab: Lab, family: int) -> dict[str, object]:
    """Asks and sends; what was told of the request is what was seen, copies and all. The way to the monitor is known before."""
    dst, sport = ENDS[family], next(PORTS)
    lab.sh("r", f"ping -c1 -W1 {MONITOR[family]} >/dev/null; ping -c1 -W1 {dst} >/dev/null")
    shown = f"[{dst}]" if family == 6 else dst
    document = lab.ask("a", f"ns:{lab.name('a')}:{sport}", f"{shown}:8000/udp")
    request = document["request"]
    reply = document["reply"]
    truth = lab.send({"ns": "a", "proto": "udp", "dst": dst, "sport": sport, "dport": 8000},
                     expected=len(request["sightings"]) + (len(reply["sightings"]) if reply else 0))
    assert sorted(told(request)) == sorted(truth.request), document["summary"]
    per_place = [[one for one in way if one[0] == lab.places["r"].id] for way in (told(request), truth.request)]
    assert per_place[0] == per_place[1], "in this order"
    assert bool(truth.receivers) is (request["verdict"] == "delivered"), document["summary"]
    return document


TEE = "{tool} -t mangle -A {chain} -p udp --dport 8000 -j TEE --gateway {gateway}"
DUP = "nft 'add table {ip} t; add chain {ip} t c {{ type filter hook {chain} priority -150; }}; add rule {ip} t c udp dport 8000 dup to {gateway}'"


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("rule", "chain"), [(TEE, "PREROUTING"), (TEE, "POSTROUTING"), (DUP, "prerouting"), (DUP, "forward")])
def test_a_copy_to_a_gateway(lab: Lab, family: int, rule: str, chain: str) -> None:
    tool, ip = ("iptables-nft", "ip") if family == 4 else ("ip6tables-nft", "ip6")
    lab.sh("r", rule.format(tool=tool, ip=ip, chain=chain, gateway=MONITOR[family]))
    document = crosses(lab, family)
    request = document["request"]
    assert request["verdict"] == "delivered"  # type: ignore[index]
    seen = [one for one in request["sightings"] if one["netns"] == lab.places["mon"].id]  # type: ignore[index]
    assert [one["dst"] for one in seen] == [ENDS[family]], "the copy keeps its destination"


def test_a_copy_that_is_answered_to_nobody(lab: Lab) -> None:
    """The packet dies in FORWARD; its copy gets through, which answers nothing."""
    lab.sh("r", "iptables-nft -t mangle -A PREROUTING -p udp -j TEE --gateway 10.3.0.2; iptables-nft -A FORWARD -p udp -j DROP")
    lab.sh("mon", "ip a add 10.2.0.2/32 dev lo")
    lab.listen("mon", "udp", "10.2.0.2", 8000)
    sport = next(PORTS)
    document = lab.ask("a", f"ns:{lab.name('a')}:{sport}", "10.2.0.2:8000/udp")
    assert document["request"]["verdict"] == "dropped" and "FORWARD" in document["summary"]
    assert any(one["netns"] == lab.places["mon"].id for one in document["request"]["sightings"])


def test_a_copy_of_a_frame(lab: Lab) -> None:
    lab.sh("r", "nft 'add table netdev t; add chain netdev t c { type filter hook ingress device eth1 priority 0; }; "
                "add rule netdev t c udp dport 8000 dup to \"eth3\"'")
    document = crosses(lab, 4)
    assert document["request"]["verdict"] == "delivered"  # type: ignore[index]
    assert any(one["netns"] == lab.places["mon"].id for one in document["request"]["sightings"])  # type: ignore[index]


@pytest.mark.parametrize("family", [4, 6])
def test_a_frame_sent_to_a_neighbour(lab: Lab, family: int) -> None:
    """Past routing, with one hop less and the neighbour's address on it."""
    ip = "ip" if family == 4 else "ip6"
    lab.sh("r", "nft 'add table netdev t; add chain netdev t c { type filter hook ingress device eth1 priority 0; }; "
                f"add rule netdev t c udp dport 8000 fwd {ip} to {ENDS[family]} device \"eth2\"'")
    document = crosses(lab, family)
    assert document["request"]["verdict"] == "delivered"  # type: ignore[index]
    assert not any(step["stage"] == "routing" and step["netns"] == lab.places["r"].id for step in document["request"]["steps"])  # type: ignore[index]
