"""The observer on its own: packets whose fate is known without any prediction."""

from __future__ import annotations

from typing import Any

import pytest

from . import judge, stacked
from .build import Built
from .generate import generate
from .host import Host, shell_script
from .observe import Observer
from .send import Sender
from .shrink import shrink


def _ip(ns: str, *lines: str) -> list[dict[str, str]]:
    return [{"do": "ip", "ns": ns, "line": line} for line in lines]


ROUTER: list[dict[str, Any]] = [
    *({"do": "netns", "ns": name} for name in "abc"),
    *_ip("a", "link add a0 type veth peer name b0 address 02:00:00:00:00:02 netns NETNS(b)", "link set a0 up",
         "addr add 10.0.0.1/24 dev a0", "route add default via 10.0.0.2"),
    *_ip("b", "link add b1 type veth peer name c0 netns NETNS(c)", "link set b0 up", "link set b1 up", "addr add 10.0.0.2/24 dev b0",
         "addr add 10.0.1.1/24 dev b1"),
    *_ip("c", "link set c0 up", "addr add 10.0.1.2/24 dev c0", "route add default via 10.0.1.1"),
    {"do": "sysctl", "ns": "b", "path": "net/ipv4/ip_forward", "value": "1"},
    {"do": "listen", "ns": "c", "proto": "udp", "addr": "0.0.0.0", "port": 53},
    {"do": "listen", "ns": "c", "proto": "tcp", "addr": "10.0.1.2", "port": 80},
    *({"do": "nft", "ns": "b", "line": line} for line in (
        "add table inet t", "add chain inet t f { type filter hook forward priority 0; }",
        "add rule inet t f udp dport 99 counter drop", "add rule inet t f counter accept")),
]
WAY = ["a/a0:out", "b/b0:in", "b/b1:out", "c/c0:in"]


def _packet(**fields: Any) -> dict[str, Any]:
    return {"how": "socket", "ns": "a", "proto": "udp", "src": "", "dst": "10.0.1.2", "sport": 1000, "dport": 53, **fields}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "delivered and answered": (_packet(), {"way": WAY, "got": ["udp 0.0.0.0:53"], "answered": True, "drops": []}),
    "a TCP listener is known by its SYN-ACK": (_packet(proto="tcp", dport=80), {"way": WAY, "got": ["tcp 10.0.1.2:80"], "answered": True}),
    "nobody listens": (_packet(dport=54), {"way": WAY, "got": [], "answered": True, "drops": ["NO_SOCKET"]}),
    "a rule drops it, its counter says so": (
        _packet(dport=99), {"way": WAY[:2], "got": [], "answered": False, "drops": ["NETFILTER_DROP"], "rules": [1]}),
    "a neighbour that does not answer": (_packet(dst="10.0.1.77"), {"way": WAY[:2], "drops": ["NEIGH_FAILED"], "answered": True}),
    "no route on the way": (_packet(dst="192.0.2.1"), {"way": WAY[:2], "drops": ["IP_INNOROUTES"], "answered": True}),
    "TTL used up": (_packet(how="raw", src="10.0.0.1", ttl=1), {"way": WAY[:2], "drops": ["IP_INHDR"], "answered": True}),
    "a frame for another station": (
        _packet(how="frame", src="10.0.0.9", dev="a0", dmac="02:00:00:00:dd:dd"), {"way": ["b/b0:in"], "drops": ["OTHERHOST"]}),
    "an echo request": (_packet(proto="icmp"), {"way": WAY, "answered": True}),
}


def _observe(bench: judge.Bench) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with Built({"seed": "", "items": ROUTER, "packets": []}, bench.home) as built:
        observer = Observer(built, bench.tracer, bench.pid)
        for number, (name, (packet, _)) in enumerate(CASES.items(), 1):
            sender = Sender(built, packet, number)
            truth = observer.run(sender)
            found[name] = {
                "way": [f"{s.netns}/{s.device}:{s.direction}" for s in truth.sightings],
                "got": [f"{r.item['proto']} {r.item['addr']}:{r.item['port']}" for r in truth.receivers],
                "answered": bool(truth.answer), "drops": [d.reason for d in truth.drops if d.kind == "request"],
                "rules": [count for key, count in sorted(truth.rules.items())]}
            sender.close()
        observer.close()
    return found


@pytest.fixture(scope="module")
def observed() -> dict[str, Any]:
    result: dict[str, Any] = judge.with_bench(_observe)
    return result


@pytest.mark.root
@pytest.mark.parametrize("name", CASES)
def test_the_truth_is_taken(name: str, observed: dict[str, Any]) -> None:
    for key, value in CASES[name][1].items():
        assert observed[name][key] == value, key


def test_the_same_seed_makes_the_same_host() -> None:
    assert generate(3, 14) == generate(3, 14)
    assert generate(3, 14) != generate(3, 15)


def test_a_host_becomes_a_script() -> None:
    script = shell_script({"seed": "", "items": ROUTER, "packets": [_packet()]})
    assert "ip netns add a" in script and "netns b" in script and "nft -f -" in script and "NETNS(" not in script


def test_shrinking_keeps_what_matters() -> None:
    host: Host = {"seed": "", "items": [*ROUTER, {"do": "nft", "ns": "b", "line": "the culprit"}],
                  "packets": [_packet(sport=n) for n in range(6)]}

    def check(candidate: Host) -> bool:
        return any(item.get("line") == "the culprit" for item in candidate["items"]) and \
            {"do": "netns", "ns": "b"} in candidate["items"] and any(p["sport"] == 2 for p in candidate["packets"])

    small = shrink(host, 5, check)
    assert [item.get("line", item["do"]) for item in small["items"]] == ["netns", "the culprit"]
    assert [packet["sport"] for packet in small["packets"]] == [2, 5]


def test_a_kernel_with_more_device_types_gets_more_hosts() -> None:
    kinds = frozenset(stacked.KINDS)
    for index in (0, 1, 3, 4):
        assert generate(61, index, kinds=kinds) == generate(61, index)
    hosts = [generate(61, index, kinds=kinds) for index in range(2, 300, 3)]
    assert hosts[5] == generate(61, 17, kinds=kinds) != generate(61, 17)
    lines = [item["line"] for host in hosts for item in host["items"] if item["do"] == "ip"]
    for kind in kinds:
        assert any(f" type {kind}" in line for line in lines), kind
    assert sum(host["unknowable"] for host in hosts) < 20
