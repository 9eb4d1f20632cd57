"""Plain roads: routes of every type, forwarding, listeners, TTL, MTU, both families."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """out --- r --- br0[web, db]; out2 hangs off r by a wire with a small MTU."""
    made = Lab("r")
    try:
        made.netns("out", "r", "web", "db", "thin")
        made.wire("out", "eth0", "r", "eth0")
        made.wire("thin", "eth0", "r", "eth1")
        made.wire("web", "eth0", "r", "v-web")
        made.wire("db", "eth0", "r", "v-db")
        made.sh("out", "ip a add 198.51.100.2/24 dev eth0; ip r add default via 198.51.100.1; ip a add 2001:db8:1::2/64 dev eth0 nodad; "
                "ip -6 r add default via 2001:db8:1::1")
        made.sh("r", "ip link add br0 type bridge; ip link set v-web master br0; ip link set v-db master br0")
        made.up("r", "br0")
        made.sh("r", "ip a add 198.51.100.1/24 dev eth0; ip a add 2001:db8:1::1/64 dev eth0 nodad; ip a add 172.30.0.1/24 dev br0; "
                "ip a add 2001:db8:2::1/64 dev br0 nodad; ip link set eth1 mtu 1300; ip a add 203.0.113.1/24 dev eth1; "
                "ip a add 2001:db8:3::1/64 dev eth1 nodad; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1; "
                "ip r add blackhole 192.0.2.0/28; ip r add unreachable 192.0.2.16/28; ip r add prohibit 192.0.2.32/28; ip r add throw 192.0.2.48/28; "
                "ip -6 r add blackhole 2001:db8:b::/64; ip -6 r add unreachable 2001:db8:c::/64; ip -6 r add prohibit 2001:db8:d::/64")
        made.sh("thin", "ip link set eth0 mtu 1300; ip a add 203.0.113.2/24 dev eth0; ip r add default via 203.0.113.1; "
                "ip a add 2001:db8:3::2/64 dev eth0 nodad; ip -6 r add default via 2001:db8:3::1")
        for name, last in (("web", 2), ("db", 3)):
            made.sh(name, f"ip a add 172.30.0.{last}/24 dev eth0; ip r add default via 172.30.0.1; ip a add 2001:db8:2::{last}/64 dev eth0 nodad; "
                    f"ip -6 r add default via 2001:db8:2::1")
        made.listen("web", "udp", "0.0.0.0", 8000)
        made.listen("web", "tcp", "0.0.0.0", 80)
        made.listen("web", "udp", "127.0.0.1", 9000)
        made.listen("web", "udp", "172.30.0.2", 9001)
        made.listen("web", "tcp", "::", 443, dual=True)
        made.listen("web", "udp", "2001:db8:2::2", 9001)
        made.listen("web", "udp", "::", 9002, dual=True)
        made.listen("db", "udp", "::", 5000)
        made.listen("thin", "udp", "0.0.0.0", 7000)
        made.listen("thin", "udp", "::", 7000)
        made.listen("r", "udp", "198.51.100.1", 53)
        yield made
    finally:
        made.close()


CASES = [
    # from, to, proto, verdict
    ("out", "172.30.0.2", 8000, "udp", "delivered"),
    ("out", "172.30.0.2", 80, "tcp", "delivered"),
    ("out", "172.30.0.2", 81, "tcp", "rejected"),
    ("out", "172.30.0.2", 8001, "udp", "rejected"),
    ("out", "172.30.0.2", 9000, "udp", "rejected"),
    ("out", "172.30.0.2", 9001, "udp", "delivered"),
    ("out", "172.30.0.2", 443, "tcp", "delivered"),
    ("out", "172.30.0.2", 9002, "udp", "delivered"),
    ("out", "172.30.0.3", 5000, "udp", "rejected"),
    ("out", "172.30.0.2", None, "icmp", "delivered"),
    ("out", "172.30.0.77", 80, "tcp", "rejected"),
    ("out", "198.51.100.1", 53, "udp", "delivered"),
    ("out", "172.30.0.1", 53, "udp", "rejected"),
    ("out", "198.51.100.1", 22, "tcp", "rejected"),
    ("out", "198.51.100.99", 22, "tcp", "rejected"),  # the sender is told on lo
    ("out", "192.0.2.1", 80, "tcp", "dropped"),
    ("out", "192.0.2.17", 80, "udp", "rejected"),
    ("out", "192.0.2.33", 80, "udp", "rejected"),
    ("out", "192.0.2.49", 80, "udp", "rejected"),
    ("r", "192.0.2.1", 80, "udp", "dropped"),
    ("r", "192.0.2.17", 80, "udp", "dropped"),
    ("r", "192.0.2.33", 80, "tcp", "dropped"),
    ("r", "192.0.2.200", 80, "tcp", "dropped"),
    ("out", "2001:db8:2::2", 443, "tcp", "delivered"),
    ("out", "2001:db8:2::2", 9001, "udp", "delivered"),
    ("out", "2001:db8:2::2", 9002, "udp", "delivered"),
    ("out", "2001:db8:2::2", 8000, "udp", "rejected"),
    ("out", "2001:db8:2::2", 80, "tcp", "rejected"),
    ("out", "2001:db8:2::3", 5000, "udp", "delivered"),
    ("out", "2001:db8:2::2", None, "icmp", "delivered"),
    ("out", "2001:db8:2::77", 80, "udp", "rejected"),
    ("out", "2001:db8:b::1", 80, "udp", "dropped"),
    ("out", "2001:db8:c::1", 80, "udp", "rejected"),
    ("out", "2001:db8:d::1", 80, "tcp", "rejected"),
    ("out", "2001:db8:e::1", 80, "udp", "rejected"),
    ("r", "2001:db8:e::1", 80, "udp", "dropped"),
    ("r", "2001:db8:d::1", 80, "udp", "dropped"),
    ("web", "172.30.0.3", None, "icmp", "delivered"),
    ("web", "127.0.0.1", 9000, "udp", "delivered"),
    ("web", "172.30.0.2", 8000, "udp", "delivered"),
    ("web", "127.0.0.1", 8000, "udp", "delivered"),
    ("web", "::1", 9002, "udp", "delivered"),
    ("web", "127.0.0.1", 8001, "udp", "rejected"),
    ("db", "172.30.0.2", 80, "tcp", "delivered"),
    ("db", "172.30.0.1", None, "icmp", "delivered"),
    ("thin", "172.30.0.2", 80, "tcp", "delivered"),
]


@pytest.mark.parametrize(("who", "to", "port", "proto", "verdict"), CASES)
def test_road(lab: Lab, who: str, to: str, port: int | None, proto: str, verdict: str) -> None:
    sport = 0 if port is None else 20000 + Lab.number
    src = ""
    if who == "out" and "." in to:  # ip_error() answers each address five times, then once a second, and nothing says so
        src = f"198.51.100.{20 + Lab.number % 100}"
        lab.sh("out", f"ip a add {src}/24 dev eth0")
    shown = f"[{to}]" if ":" in to and port is not None else to
    words = ((src or f"ns:{lab.name(who)}") + (f":{sport}" if sport else ""), shown + (f":{port}" if port else "") + f"/{proto}")
    spec = {"ns": who, "src": src, "proto": proto, "dst": to, "sport": sport, "dport": port or 0}
    document = lab.judge("r", words, spec)
    assert document["verdict"] == verdict, document["summary"]
