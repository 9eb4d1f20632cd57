"""What a router's rules make of a connection: predicted, then done by the kernel, then compared."""

from __future__ import annotations

import random
import re
import socket
from typing import Any

import pytest

from pktdiag.conntrack.tuples import invert
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.packet import format_address, parse_address
from pktdiag.netfilter.context import Skb

from .conftest import CLIENT, ROUTER_IN, ROUTER_OUT, SERVER, SIX, Crossing, Lab, packet

LEGACY, NFT = "iptables-legacy", "iptables-nft"


def listed(lab: Lab, port: int) -> list[dict[str, Any]]:
    """The router's connections with the client's source port, both directions."""
    found = []
    for line in lab.conntrack():
        numbers = re.findall(r"(src|dst|sport|dport)=(\S+)", line)
        if ("sport", str(port)) == numbers[2] and numbers[0] == ("src", CLIENT):
            found.append({"orig": [value for _, value in numbers[:4]], "reply": [value for _, value in numbers[4:8]]})
    return found


def words(tuple_: ConntrackTuple) -> list[str]:
    return [format_address(tuple_.src), format_address(tuple_.dst), str(tuple_.sport), str(tuple_.dport)]


def send_udp(lab: Lab, sport: int, dst: str, dport: int) -> None:
    with lab.bound("client", socket.SOCK_DGRAM, CLIENT, sport) as sock:
        sock.sendto(b"x", (dst, dport))


CASES = [
    ("", SERVER, 53),
    ("-t nat -A POSTROUTING -o down0 -j MASQUERADE", SERVER, 53),
    ("-t nat -A POSTROUTING -o down0 -j SNAT --to-source 203.0.113.7", SERVER, 53),
    ("-t nat -A POSTROUTING -o down0 -j SNAT --to-source 203.0.113.16-203.0.113.47", SERVER, 53),
    ("-t nat -A POSTROUTING -o down0 -j SNAT --to-source 203.0.113.16-203.0.113.47 --persistent", SERVER, 53),
    ("-t nat -A POSTROUTING -o down0 -p udp -j SNAT --to-source 203.0.113.7:777", SERVER, 53),
    ("-t nat -A PREROUTING -p udp --dport 8000 -j DNAT --to-destination 203.0.113.2:9000", "198.51.100.1", 8000),
    ("-t nat -A PREROUTING -p udp --dport 8000 -j DNAT --to-destination 203.0.113.2", "198.51.100.1", 8000),
    ("-t nat -A PREROUTING -p udp --dport 8000 -j DNAT --to-destination 203.0.113.20-203.0.113.60", "198.51.100.1", 8000),
    ("-t nat -A PREROUTING -p udp --dport 8000 -j DNAT --to-destination 203.0.113.2:5000-5009", "198.51.100.1", 8000),
    ("-t nat -A PREROUTING -p udp --dport 5005 -j DNAT --to-destination 203.0.113.2:5000-5009", "198.51.100.1", 5005),
    ("-t nat -A PREROUTING -d 192.0.2.0/24 -j NETMAP --to 203.0.113.0/24", "192.0.2.2", 53),
]


@pytest.mark.parametrize("tool", [LEGACY, NFT])
@pytest.mark.parametrize(("rule", "dst", "dport"), CASES)
def test_binding_equals_the_kernels(lab: Lab, tool: str, rule: str, dst: str, dport: int) -> None:
    lab.run("router", tool, "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
    if rule:
        lab.run("router", tool, *rule.split())
    crossing = Crossing(lab)
    skb, result = crossing.forward(packet(CLIENT, 40000, dst, dport))
    assert result.action == "accept", result
    assert skb.ct is not None
    send_udp(lab, 40000, dst, dport)
    kernel = listed(lab, 40000)
    assert len(kernel) == 1, lab.conntrack()
    assert words(skb.ct.orig) == kernel[0]["orig"]
    assert words(skb.ct.reply) == kernel[0]["reply"]
    answer = invert(skb.ct.reply)
    assert answer is not None
    assert (skb.packet.src, skb.packet.dst, skb.packet.sport, skb.packet.dport) == (answer.src, answer.dst, answer.sport, answer.dport)
    assert not crossing.services.asked


def test_an_address_range_is_hashed_alike_for_many_sources(lab: Lab) -> None:
    lab.run("router", LEGACY, "-t", "nat", "-A", "POSTROUTING", "-o", "down0", "-j", "SNAT", "--to-source",
            "203.0.113.16-203.0.113.47")
    for last in range(100, 116):
        lab.ip(lab.names["client"], f"addr replace 198.51.100.{last}/24 dev eth0")
    try:
        for last in range(100, 116):
            source = f"198.51.100.{last}"
            skb, _ = Crossing(lab).forward(packet(source, 40000 + last, SERVER, 53))
            with lab.bound("client", socket.SOCK_DGRAM, source, 40000 + last) as sock:
                sock.sendto(b"x", (SERVER, 53))
            line = next(line for line in lab.conntrack() if f"src={source} " in line)
            assert skb.ct is not None
            assert f"dst={format_address(skb.ct.reply.dst)} sport=53 dport={skb.ct.reply.dport}" in line
    finally:
        for last in range(100, 116):
            lab.ip(lab.names["client"], f"addr del 198.51.100.{last}/24 dev eth0")


def test_a_taken_source_port_is_replaced_by_a_random_one(lab: Lab) -> None:
    lab.run("router", LEGACY, "-t", "nat", "-A", "POSTROUTING", "-o", "down0", "-j", "MASQUERADE")
    lab.ip(lab.names["client"], "addr replace 198.51.100.3/24 dev eth0")
    send_udp(lab, 40000, SERVER, 53)
    skb, _ = Crossing(lab).forward(packet("198.51.100.3", 40000, SERVER, 53))
    assert "sport" in skb.packet.unknown
    with lab.bound("client", socket.SOCK_DGRAM, "198.51.100.3", 40000) as sock:
        sock.sendto(b"x", (SERVER, 53))
    lab.ip(lab.names["client"], "addr del 198.51.100.3/24 dev eth0")
    line = next(line for line in lab.conntrack() if "src=198.51.100.3 " in line)
    assert "dport=40000" not in line.split("src=203")[1]


def test_the_reply_is_translated_back(lab: Lab) -> None:
    lab.run("router", LEGACY, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "8000", "-j", "DNAT", "--to", "203.0.113.2:9000")
    lab.run("router", LEGACY, "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")
    crossing = Crossing(lab)
    skb, _ = crossing.forward(packet(CLIENT, 40000, "198.51.100.1", 8000))
    there = skb.packet
    back, result = crossing.forward(there._replace(src=there.dst, dst=there.src, sport=there.dport, dport=there.sport), back=True)
    assert result.action == "accept"
    assert (format_address(back.packet.src), back.packet.sport) == ("198.51.100.1", 8000)
    assert (format_address(back.packet.dst), back.packet.dport) == (CLIENT, 40000)
    assert back.ct_state == 3


@pytest.mark.parametrize("tool", [LEGACY, NFT])
def test_no_rule_needs_connections_no_tracking(lab: Lab, tool: str) -> None:
    lab.run("router", tool, "-A", "FORWARD", "-j", "ACCEPT")
    skb, _ = Crossing(lab).forward(packet(CLIENT, 40001, SERVER, 53))
    assert skb.ct is None and skb.ct_state is None
    send_udp(lab, 40001, SERVER, 53)
    assert listed(lab, 40001) == []


CASES_6 = [
    ("-A POSTROUTING -o down0 -j MASQUERADE", SIX[SERVER], 53),
    ("-A POSTROUTING -o down0 -j SNAT --to-source 2001:db8:2::10-2001:db8:2::ffff", SIX[SERVER], 53),
    ("-A POSTROUTING -o down0 -j SNAT --to-source 2001:db8:2:0:1::-2001:db8:2:0:8:ffff:ffff:ffff --persistent", SIX[SERVER], 53),
    ("-A PREROUTING -p udp --dport 8000 -j DNAT --to-destination [2001:db8:2::2]:9000", SIX[ROUTER_IN], 8000),
    ("-A PREROUTING -p udp --dport 8000 -j DNAT --to-destination 2001:db8:2::100-2001:db8:2:0:ffff::", SIX[ROUTER_IN], 8000),
    ("-A PREROUTING -d 2001:db8:9::/64 -j NETMAP --to 2001:db8:2::/64", "2001:db8:9::2", 53),
]


@pytest.mark.parametrize("tool", ["ip6tables-legacy", "ip6tables-nft"])
@pytest.mark.parametrize(("rule", "dst", "dport"), CASES_6)
def test_binding_equals_the_kernels_in_ipv6(lab: Lab, tool: str, rule: str, dst: str, dport: int) -> None:
    lab.run("router", tool, "-t", "nat", *rule.split())
    skb, result = Crossing(lab).forward(packet(SIX[CLIENT], 40000, dst, dport))
    assert result.action == "accept", result
    with lab.bound("client", socket.SOCK_DGRAM, SIX[CLIENT], 40000) as sock:
        sock.sendto(b"x", (dst, dport))
    compare(lab, skb, SIX[CLIENT], 40000)


@pytest.mark.parametrize("rule", ["-p udp --dport 8000 -j REDIRECT", "-p udp --dport 8000 -j REDIRECT --to-ports 9000",
                                  "-p udp --dport 8000 -j REDIRECT --to-ports 9000-9009", "-p udp -j DNAT --to 198.51.100.1:77"])
def test_redirected_to_the_router_itself(lab: Lab, rule: str) -> None:
    lab.run("router", LEGACY, "-t", "nat", "-A", "PREROUTING", *rule.split())
    skb, _ = Crossing(lab).arrive(packet(CLIENT, 40100, SERVER, 8000))
    send_udp(lab, 40100, SERVER, 8000)
    compare(lab, skb, CLIENT, 40100)


@pytest.mark.parametrize("rule", ["-p udp --dport 8000 -j REDIRECT --to-ports 9000", "-p udp -j DNAT --to 203.0.113.2:77"])
def test_the_routers_own_packets(lab: Lab, rule: str) -> None:
    lab.run("router", LEGACY, "-t", "nat", "-A", "OUTPUT", *rule.split())
    skb, _ = Crossing(lab).leave(packet(ROUTER_OUT, 40200, "203.0.113.9", 8000))
    with lab.bound("router", socket.SOCK_DGRAM, ROUTER_OUT, 40200) as sock:
        sock.sendto(b"x", ("203.0.113.9", 8000))
    compare(lab, skb, ROUTER_OUT, 40200)


@pytest.mark.parametrize("seed", range(4))
def test_random_nft_rules_at_random_ports(lab: Lab, seed: int) -> None:
    """Maps, ranges and several nat chains at one hook; the first binding wins."""
    draw = random.Random(seed)
    targets = ("203.0.113.2", "203.0.113.2:9000", "203.0.113.2:9000-9010", "203.0.113.20-203.0.113.40", "203.0.113.20-203.0.113.40:99")
    sources = ("203.0.113.1", "203.0.113.1:1000-1003", "203.0.113.30-203.0.113.60", "203.0.113.7:30000-40001")
    chains = []
    for number in range(4):
        hook, verb, choices = draw.choice((("prerouting", "dnat", targets), ("postrouting", "snat", sources)))
        rules = "\n".join(f"meta l4proto udp udp dport {draw.randrange(8000, 8003)} {verb} to {draw.choice(choices)};" for _ in range(2))
        chains.append(f"chain c{number} {{ type nat hook {hook} priority {draw.choice((-100, -5, 0, 100, 120))};\n{rules} }};")
    lab.run("router", "nft", "-f", "-", stdin="table ip t {\n" + "\n".join(chains) + "\n}")
    for step in range(8):
        dst, dport = draw.choice(("198.51.100.1", SERVER)), draw.randrange(8000, 8004)
        crossing = Crossing(lab)
        local = dst == "198.51.100.1"
        skb, _ = crossing.through(packet(CLIENT, 45000 + step, dst, dport), (0, crossing.up, None))
        assert skb.ct is not None
        if skb.packet.dst == parse_address("198.51.100.1") and local:
            continue
        crossing = Crossing(lab)
        skb, _ = crossing.forward(packet(CLIENT, 45000 + step, dst, dport))
        send_udp(lab, 45000 + step, dst, dport)
        if "sport" in skb.packet.unknown:
            continue
        compare(lab, skb, CLIENT, 45000 + step)


def compare(lab: Lab, skb: Skb, src: str, sport: int) -> None:
    assert skb.ct is not None
    found = [re.findall(r"(?:src|dst|sport|dport)=(\S+)", line) for family in ("ipv4", "ipv6")
             for line in lab.run("router", "conntrack", "-L", "-f", family).splitlines() if line]
    mine = [numbers for numbers in found if numbers[0] == src and numbers[2] == str(sport)]
    assert mine == [words(skb.ct.orig) + words(skb.ct.reply)]
