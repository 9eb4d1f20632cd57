"""What ICMP messages taught a host: path MTUs and redirects, which no dump of routes shows; and the MTU of a route itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .lab import Lab

pytestmark = pytest.mark.root
PORTS = iter(range(43000, 44000))
FAR = {4: "10.9.0.9", 6: "2001:db8:9::9"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    """a, r1 and r2 on one bridge; a's gateway is r1. Behind r1 over a thin wire b, behind r2 c."""
    lab = Lab("learned")
    try:
        lab.netns("a", "sw", "r1", "r2", "b", "c")
        lab.sh("sw", "ip link add br0 type bridge; ip link set br0 up")
        for number, name in enumerate(("a", "r1", "r2"), 1):
            lab.wire(name, "eth0", "sw", f"p-{name}")
            lab.sh("sw", f"ip link set p-{name} master br0")
            lab.sh(name, f"ip -6 a flush dev eth0; ip a add 10.1.0.{number}/24 dev eth0; ip a add 2001:db8:1::{number}/64 dev eth0 nodad; "
                         f"ip a add fe80::{number}/64 dev eth0 nodad")  # a redirect comes from a link-local address, and is believed of no other
        for number, (router, end) in enumerate((("r1", "b"), ("r2", "c")), 9):
            lab.wire(router, "eth1", end, "eth0")
            lab.sh(router, f"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; ip a add 10.{number}.0.1/24 dev eth1; "
                           f"ip a add 2001:db8:{number}::1/64 dev eth1 nodad; ip link set eth1 mtu {1400 if end == 'b' else 1500}")
            lab.sh(end, f"ip link set eth0 mtu {1400 if end == 'b' else 1500}; ip a add 10.{number}.0.9/24 dev eth0; ip r add default via 10.{number}.0.1; "
                        f"ip a add 2001:db8:{number}::9/64 dev eth0 nodad; ip -6 r add default via 2001:db8:{number}::1")
            for address in ("0.0.0.0", "::"):
                lab.listen(end, "udp", address, 8000)
        lab.sh("a", "ip r add default via 10.1.0.2; ip -6 r add default via fe80::2 dev eth0; sysctl -qw net.ipv4.conf.eth0.secure_redirects=0 "
                    "net.ipv4.conf.all.secure_redirects=0")
        lab.sh("r1", "ip r add 10.10.0.0/24 via 10.1.0.3; ip -6 r add 2001:db8:10::/64 via fe80::3 dev eth0")
        lab.sh("r2", "ip r add 10.9.0.0/24 via 10.1.0.2; ip -6 r add 2001:db8:9::/64 via fe80::2 dev eth0")
        yield lab
    finally:
        lab.close()


def asked(lab: Lab, dst: str, size: int) -> tuple[tuple[str, ...], dict[str, Any]]:
    sport = next(PORTS)
    shown = f"[{dst}]" if ":" in dst else dst
    return ((f"ns:{lab.name('a')}:{sport}", f"{shown}:8000/udp", "--size", str(size)),
            {"ns": "a", "proto": "udp", "dst": dst, "sport": sport, "dport": 8000, "size": size})


@pytest.mark.parametrize("family", [4, 6])
def test_a_path_mtu_learned(lab: Lab, family: int) -> None:
    """The first long packet dies at r1; from then on the sender itself cuts what is longer than the path takes."""
    dst = FAR[family]
    words, spec = asked(lab, dst, 1450)
    first = lab.judge("a", words, spec)
    assert first["request"]["drop"]["cause"] == "mtu-exceeded"
    words, spec = asked(lab, dst, 1450)
    after = lab.ask("a", *words)
    said = " ".join(step["text"] for outcome in (after["request"], *after["request"]["outcomes"]) for step in outcome.get("steps", ()))
    assert f"exceed the path MTU 1400 learned for {dst}: sent as 2 fragments" in said, after
    assert lab.send(spec, expected=1).receivers, "it arrives, in pieces"
    words, spec = asked(lab, dst, 1400)
    fits = lab.judge("a", words, spec)
    assert fits["request"]["verdict"] == "delivered"


@pytest.mark.parametrize("family", [4, 6])
def test_a_redirect_learned(lab: Lab, family: int) -> None:
    """r1 tells a that r2 is nearer; what follows goes there straight."""
    dst = {4: "10.10.0.9", 6: "2001:db8:10::9"}[family]
    words, spec = asked(lab, dst, 200)
    before = lab.judge("a", words, spec)
    assert any(sight["netns"] == lab.places["r1"].id for sight in before["request"]["sightings"])
    # Of UDP sockets only one bound to its device believes an IPv6 redirect (udpv6_err, ip6_redirect_nh_match)
    lab.send({**asked(lab, dst, 200)[1], "dev": "eth0"})
    words, spec = asked(lab, dst, 200)
    after = lab.judge("a", words, spec)
    assert not any(sight["netns"] == lab.places["r1"].id for sight in after["request"]["sightings"])
    assert "an ICMP redirect made" in " ".join(step["text"] for step in after["request"]["steps"])


@pytest.mark.parametrize(("family", "lock", "stage"), [(4, "", "forward"), (4, "lock ", "forward"), (6, "", "fragment"), (6, "lock ", "forward")])
def test_the_mtu_of_a_route(lab: Lab, family: int, lock: str, stage: str) -> None:
    """IPv6 holds a forwarded packet against the device first, and against the route only when it is sent."""
    ip, net = ("ip", "10.9.0.0/24") if family == 4 else ("ip -6", "2001:db8:9::/64")
    lab.sh("r1", f"{ip} route {'change' if family == 4 else 'add'} {net} dev eth1 {'' if family == 4 else 'metric 10'} mtu {lock}1330")
    words, spec = asked(lab, FAR[family], 1380)
    document = lab.judge("a", words, spec)
    assert document["request"]["drop"]["cause"] == "mtu-exceeded", document["summary"]
    assert document["request"]["drop"]["stage"] == stage
