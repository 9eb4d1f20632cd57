"""OUTPUT routes again where a rule changed the packet, at that moment (ip_route_me_harder): what later rules change is not asked about."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab

pytestmark = pytest.mark.root
PORTS = iter(range(41000, 42000))
DNAT = "nft 'add chain ip n o { type nat hook output priority -100; }; add rule ip n o udp dport 8000 dnat to 10.9.0.9'"
MARK = "nft 'add chain ip n m {{ type {type} hook output priority {priority}; }}; add rule ip n m meta mark set 1'"


@pytest.fixture
def lab() -> Iterator[Lab]:
    """10.9.0.9 is behind x, and for packets with mark 1 behind y."""
    lab = Lab("reroute")
    try:
        lab.netns("host", "x", "y")
        for number, other in ((1, "x"), (2, "y")):
            lab.wire("host", f"eth{number}", other, "eth0")
            lab.sh("host", f"ip addr add 10.{number}.0.1/24 dev eth{number}; sysctl -qw net.ipv4.conf.eth{number}.rp_filter=0")
            lab.sh(other, f"ip addr add 10.{number}.0.2/24 dev eth0; ip addr add 10.9.0.9/32 dev lo; ip route add default via 10.{number}.0.1; "
                          "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0")
            lab.listen(other, "udp", "10.9.0.9", 8000)
        lab.sh("host", "sysctl -qw net.ipv4.conf.all.rp_filter=0; ip route add 10.9.0.0/24 via 10.1.0.2; "
                       "ip route add 10.9.0.0/24 via 10.2.0.2 table 7; ip rule add fwmark 1 table 7; nft add table ip n")
        yield lab
    finally:
        lab.close()


@pytest.mark.parametrize(("marking", "way"), [
    (("filter", 0), "x"),      # a filter chain's mark comes too late, and asks for nothing by itself
    (("route", 0), "y"),       # a route chain asks again behind the NAT
    (("filter", -150), "y"),   # the mark was there when the NAT asked
    (("route", -150), "y"),
])
def test_the_moment_decides(lab: Lab, marking: tuple[str, int], way: str) -> None:
    lab.sh("host", DNAT)
    lab.sh("host", MARK.format(type=marking[0], priority=marking[1]))
    sport = next(PORTS)
    document = lab.judge("host", (f"ns:{lab.name('host')}:{sport}", "10.1.0.77:8000/udp"),
                         {"ns": "host", "proto": "udp", "dst": "10.1.0.77", "sport": sport, "dport": 8000})
    assert document["request"]["receiver"]["netns"] == lab.places[way].id, document["summary"]
