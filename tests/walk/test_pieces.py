"""Datagrams that a host on the way cuts into fragments: each scenario is judged by the kernel, every fragment on every tap, who gets the
datagram or what drops it, counters and rules hit; and nothing about it is left open."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest

from .hosts import BRIDGED, CABLE, ROUTED, Host, frame, host, ping, udp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: builds network namespaces")

FAR, FAR6, NEAR6, STATION = "203.0.113.2", "2001:db8:2::2", "2001:db8:1::2", "198.51.100.12"
CABLE6 = ("a: link add e0 type veth peer name e0 netns NETNS(b)", "a: link set e0 up", "b: link set e0 up",
          "a: addr add 2001:db8:1::1/64 dev e0 nodad", f"b: addr add {NEAR6}/64 dev e0 nodad", "b: listen udp :: 53")
ROUTED6 = (
    "a: link add e0 type veth peer name ra netns NETNS(r)", "b: link add e0 type veth peer name rb netns NETNS(r)",
    "a: link set e0 up", "b: link set e0 up", "r: link set ra up", "r: link set rb up",
    "a: addr add fe80::a/64 dev e0 nodad", "b: addr add fe80::b/64 dev e0 nodad", "r: addr add fe80::1/64 dev ra nodad",
    "r: addr add fe80::2/64 dev rb nodad", "a: addr add 2001:db8:1::1/64 dev e0 nodad", "r: addr add 2001:db8:1::fe/64 dev ra nodad",
    "r: addr add 2001:db8:2::fe/64 dev rb nodad", f"b: addr add {FAR6}/64 dev e0 nodad", "a: route add default via 2001:db8:1::fe",
    "b: route add default via 2001:db8:2::fe", "r: sysctl net/ipv6/conf/all/forwarding=1", "b: listen udp :: 53",
)
TWO_ROUTERS = (
    "a: link add e0 type veth peer name ra netns NETNS(r)", "r: link add rs type veth peer name sr netns NETNS(s)",
    "b: link add e0 type veth peer name sb netns NETNS(s)", "a: link set e0 up", "b: link set e0 up", "r: link set ra up", "r: link set rs up",
    "s: link set sr up", "s: link set sb up", "a: addr add 192.0.2.1/24 dev e0", "r: addr add 192.0.2.254/24 dev ra",
    "r: addr add 198.51.100.1/24 dev rs", "s: addr add 198.51.100.2/24 dev sr", "s: addr add 203.0.113.254/24 dev sb",
    "b: addr add 203.0.113.2/24 dev e0", "a: route add default via 192.0.2.254", "b: route add default via 203.0.113.254",
    "r: route add 203.0.113.0/24 via 198.51.100.2", "s: route add 192.0.2.0/24 via 198.51.100.1", "r: sysctl net/ipv4/ip_forward=1",
    "s: sysctl net/ipv4/ip_forward=1", "b: listen udp 0.0.0.0 53", "r: link set rs mtu 1400", "s: link set sr mtu 1400",
)
CALLED = ("h: sysctl net/bridge/bridge-nf-call-iptables=1",)


def both(dst: str, size: int = 3000, sender: str = "a") -> list[dict[str, Any]]:
    """A datagram and an echo request."""
    return [udp(sender, dst, size=size), ping(sender, dst, size=size)]


def chain(ns: str, hook: str, priority: int, *rules: str, family: str = "ip", device: str = "") -> tuple[str, ...]:
    at = f"device {device} " if device else ""
    return (f"{ns}: nft add table {family} f", f"{ns}: nft add chain {family} f c {{ type filter hook {hook} {at}priority {priority}; }}",
            *(f"{ns}: nft add rule {family} f c {rule}" for rule in rules))


def narrow(behind: int, router: str = "r") -> tuple[str, ...]:
    """The second link with another MTU."""
    return f"{router}: link set {router}b mtu {behind}", f"b: link set e0 mtu {behind}"


TRACKED, TRACKED6 = (chain("r", "forward", 0, "ct state new counter accept", family=family) for family in ("ip", "ip6"))
BRIDGE_TRACKED = chain("h", "forward", 0, "ct state new counter accept")
SMALL_PORT = ("h: link set vb mtu 1400", "b: link set e0 mtu 1400")
LATER = "ip frag-off & 0x1fff != 0 counter drop"

SCENARIOS: dict[str, tuple[str, Host]] = {
    "host to host": ("delivered", host(*CABLE, packets=both("192.0.2.2"))),
    "host to host, IPv6": ("delivered", host(*CABLE6, packets=both(NEAR6))),
    "the last fragment ends where it likes": ("delivered", host(*CABLE, "a: link set e0 mtu 1496", "b: link set e0 mtu 1496", packets=[
        udp("a", "192.0.2.2", size=size) for size in (1497, 1498, 2968, 2969, 4444)])),
    "the largest there is": ("delivered", host(*CABLE, packets=both("192.0.2.2", 65500))),
    "nobody listens": ("rejected", host(*CABLE, packets=[udp("a", "192.0.2.2", 54, size=3000)])),
    "to itself over a small loopback": ("delivered", host(*CABLE, "a: link set lo mtu 1500", "a: listen udp 0.0.0.0 53",
                                                          *chain("a", "input", 0, "ct state new counter"), packets=both("192.0.2.1"))),
    "a router sends the fragments on": ("delivered", host(*ROUTED, packets=both(FAR))),
    "a router sends the fragments on, IPv6": ("delivered", host(*ROUTED6, packets=both(FAR6))),
    "a router cuts fragments again": ("delivered", host(*ROUTED, *narrow(1000), packets=both(FAR))),
    "a router cuts what it forwards": ("delivered", host(*ROUTED, "r: link set ra address 02:00:00:00:00:fe", *narrow(1000), packets=[
        frame("a", "e0", "02:00:00:00:00:fe", "192.0.2.1", FAR, size=1400, df=False)])),
    "options in the first fragment alone": ("delivered", host(*ROUTED, "r: link set ra address 02:00:00:00:00:fe", *narrow(1000), packets=[
        {**frame("a", "e0", "02:00:00:00:00:fe", "192.0.2.1", FAR, size=1400, df=False), "ipopts": "01010100"}])),
    "IPv6 fragments too big for the next link": ("rejected", host(*ROUTED6, *narrow(1300), packets=[udp("a", FAR6, size=3000)])),
    "a tracking router": ("delivered", host(*ROUTED, *TRACKED, packets=both(FAR))),
    "a tracking router, IPv6": ("delivered", host(*ROUTED6, *TRACKED6, packets=both(FAR6))),
    "a tracking router cuts smaller": ("delivered", host(*ROUTED, *TRACKED, *narrow(1000), packets=both(FAR))),
    "a tracking router cuts as it came": ("delivered", host(*ROUTED, *TRACKED, *narrow(9000), packets=both(FAR))),
    "a tracking router cuts as it came, IPv6": ("delivered", host(*ROUTED6, *TRACKED6, *narrow(9000), packets=both(FAR6))),
    "a tracking router knows that IPv6 was too big": ("rejected", host(*ROUTED6, *TRACKED6, *narrow(1300), packets=[udp("a", FAR6, size=3000)])),
    "a tracking router sees the ports": ("dropped", host(*ROUTED, *chain("r", "forward", 0, "ct state new udp dport 53 counter drop"),
                                                        packets=[udp("a", FAR, size=3000)])),
    "a tracking router rejects the whole": ("rejected", host(*ROUTED, *chain("r", "forward", 0, "ct state new udp dport 53 counter reject"),
                                                            packets=[udp("a", FAR, size=3000)])),
    "source NAT": ("delivered", host(*ROUTED, "r: nft add table ip n", "r: nft add chain ip n c { type nat hook postrouting priority 100; }",
                                     "r: nft add rule ip n c oifname rb counter masquerade", packets=both(FAR))),
    "fragments of two sizes, put together and cut again": ("delivered", host(
        *TWO_ROUTERS, *chain("s", "forward", 0, "ct state new counter accept"), packets=both(FAR))),
    "three cuts": ("delivered", host(*TWO_ROUTERS, *narrow(1300, "s"), packets=both(FAR, 4000))),
    "later fragments are dropped": ("dropped", host(*ROUTED, *chain("r", "prerouting", -300, LATER), packets=both(FAR))),
    "later fragments are dropped, IPv6": ("dropped", host(*ROUTED6, *chain("r", "prerouting", -300, "frag frag-off != 0 counter drop",
                                                                          family="ip6"), packets=both(FAR6))),
    "one of the pieces of a piece is dropped": ("dropped", host(*TWO_ROUTERS, *chain("s", "prerouting", -300, "ip length 124 counter drop"),
                                                               packets=both(FAR))),
    "every fragment is dropped": ("dropped", host(*ROUTED, *chain("r", "forward", 0, "ip saddr 192.0.2.1 counter drop"), packets=both(FAR))),
    "nft drops by port": ("dropped", host(*ROUTED, *chain("r", "forward", 0, "udp dport 53 counter drop"), packets=[udp("a", FAR, size=3000)])),
    "iptables drop by port": ("dropped", host(*ROUTED, "r: xt iptables-nft filter -A FORWARD -p udp --dport 53 -j DROP",
                                              packets=[udp("a", FAR, size=3000)])),
    "a first fragment is not rejected": ("dropped", host(*ROUTED, "r: xt iptables-nft filter -A FORWARD -p udp --dport 53 -j REJECT",
                                                        packets=[udp("a", FAR, size=3000)])),
    "INPUT sees fragments of IPv6": ("dropped", host(*CABLE6, "b: xt ip6tables-nft filter -A INPUT -p udp --dport 53 -j DROP",
                                                     packets=[udp("a", NEAR6, size=3000)])),
    "the device refuses later fragments": ("dropped", host(*CABLE, *chain("a", "egress", 0, LATER, family="netdev", device="e0"),
                                                          packets=[*both("192.0.2.2"), udp("a", "192.0.2.2", size=9000)])),
    "the router's device refuses later fragments": ("dropped", host(
        *ROUTED, *TRACKED, *chain("r", "egress", 0, LATER, family="netdev", device="rb"), packets=[*both(FAR), *both(FAR)])),
    "the other end is too small": ("dropped", host(*CABLE, "b: link set e0 mtu 1000", packets=both("192.0.2.2"))),
    "no neighbour": ("rejected", host(*CABLE, packets=both("192.0.2.9"))),
    "no neighbour behind the router": ("rejected", host(*ROUTED, packets=both("203.0.113.9"))),
    "no neighbour, IPv6": ("rejected", host(*ROUTED6, packets=[udp("a", "2001:db8:2::9", size=3000)])),
    "the hop limit is used up": ("rejected", host(*ROUTED, packets=[udp("a", FAR, size=3000, ttl=1)])),
    "a broadcast": ("delivered", host(*CABLE, packets=[udp("a", "192.0.2.255", size=3000, broadcast=True, answer=False)])),
    "a copy by TEE meets the original": ("delivered", host(*ROUTED, f"r: xt iptables-nft mangle -A PREROUTING -i ra -j TEE --gateway {FAR}",
                                                          packets=both(FAR))),
    "a mark in OUTPUT leads to a wider link": ("delivered", host(
        *CABLE, "a: link add e1 type veth peer name e1 netns NETNS(b)", "a: link set e1 mtu 2000", "b: link set e1 mtu 2000",
        "a: link set e1 up", "b: link set e1 up", "a: addr add 198.51.100.1/24 dev e1", "b: addr add 198.51.100.2/24 dev e1",
        "a: route add default via 198.51.100.2 table 100", "a: rule add fwmark 1 table 100 pref 10", "b: sysctl net/ipv4/conf/all/rp_filter=0",
        "a: nft add table ip f", "a: nft add chain ip f o { type route hook output priority -150; }",
        "a: nft add rule ip f o counter meta mark set 1", f"b: addr add {FAR}/32 dev lo", f"a: route add {FAR}/32 via 192.0.2.2",
        packets=[*both(FAR), *both(FAR, 1900)])),
    "bridge": ("delivered", host(*BRIDGED, packets=both(STATION))),
    "br_netfilter": ("delivered", host(*BRIDGED, *CALLED, packets=both(STATION))),
    "br_netfilter with tracking": ("delivered", host(*BRIDGED, *CALLED, *BRIDGE_TRACKED, packets=[*both(STATION), *both("198.51.100.1")])),
    "br_netfilter cuts for a small port": ("delivered", host(*BRIDGED, *CALLED, *SMALL_PORT, packets=[
        *both(STATION), udp("a", STATION, size=1450, df=False), ping("a", STATION, size=1450, df=False)])),
    "br_netfilter with tracking and a small port": ("dropped", host(*BRIDGED, *CALLED, *BRIDGE_TRACKED, *SMALL_PORT, packets=both(STATION))),
    "br_netfilter goes by the bridge's MTU": ("dropped", host(*BRIDGED, *CALLED, *BRIDGE_TRACKED, "h: link set br0 mtu 1500", *SMALL_PORT,
                                                             packets=both(STATION))),
}
OPEN = {
    "a bridge that tracks connections itself": host(
        *BRIDGED, *chain("h", "forward", 0, "ct state new counter accept", family="bridge"), packets=both(STATION)),
    "nft accepts by port": host(*ROUTED, *chain("r", "forward", 0, "udp dport 53 counter accept", "counter drop"),
                                packets=[udp("a", FAR, size=3000)]),
    "iptables-nft accepts by port, as nft does": host(*ROUTED, "r: xt iptables-nft filter -A FORWARD -p udp --dport 53 -j ACCEPT",
                                                      "r: xt iptables-nft filter -P FORWARD DROP", packets=[udp("a", FAR, size=3000)]),
    "more fragments than are followed": host(*CABLE, "a: link set e0 mtu 300", "b: link set e0 mtu 300", packets=both("192.0.2.2", 60000)),
}
"""What is left open says so, and is right as far as it goes."""


@pytest.fixture(scope="module")
def judged() -> dict[str, list[Any]]:
    """Every scenario, run once in one worker: [packet, verdict, how it really ended, mismatches]."""
    from tests.kernel.judge import with_bench

    hosts = {**{name: made for name, (_, made) in SCENARIOS.items()}, **OPEN}

    def work(bench: Any) -> dict[str, list[Any]]:
        return {name: [[r.packet, r.verdict, r.end, [list(m) for m in r.mismatches]] for r in bench.judged(copy.deepcopy(made))[0]]
                for name, made in hosts.items()}

    return with_bench(work)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", [*SCENARIOS, *OPEN])
def test_the_kernel_agrees(judged: dict[str, list[Any]], name: str) -> None:
    results = judged[name]
    verdict, made = SCENARIOS.get(name) or ("", OPEN.get(name))
    assert made is not None and len(results) == len(made["packets"]), "a packet could not be sent"
    wrong = [(packet, said, end, mismatches) for packet, said, end, mismatches in results if mismatches]
    assert not wrong
    if verdict:
        assert {said for _, said, _, _ in results} == {verdict}


@pytest.mark.parametrize(("never", "verdict", "reason"), [(False, "delivered", ""), (True, "dropped", "PKT_TOO_BIG")])
def test_a_socket_that_wants_nothing_cut(never: bool, verdict: str, reason: str) -> None:
    """IP_MTU_DISCOVER=do: the kernel refuses the datagram, and nothing is sent."""
    import errno
    import socket

    from tests.kernel.judge import with_bench

    def work(bench: Any) -> list[Any]:
        from pktdiag.collect.live import LiveHost
        from pktdiag.model.packet import Packet, parse_address
        from pktdiag.model.question import Question
        from pktdiag.walk.api import trace
        from tests.kernel.build import Built

        with Built(copy.deepcopy(host(*CABLE, packets=[])), bench.home) as built, LiveHost() as live:
            asked = Packet(bytes(4), parse_address("192.0.2.2"), 17, 4000, 53, length=3000)
            told = trace(live, Question(built.namespaces["a"].id, asked, never_cut=never))
            with built.namespaces["a"].inside():
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_IP, 10, 2 if never else 1)
            try:
                sock.sendto(bytes(2972), ("192.0.2.2", 53))
                error = 0
            except OSError as problem:
                error = problem.errno or -1
            finally:
                sock.close()
            return [told.request.verdict, told.request.drop.reason if told.request.drop else "", error]

    assert with_bench(work) == [verdict, reason, errno.EMSGSIZE if never else 0]
