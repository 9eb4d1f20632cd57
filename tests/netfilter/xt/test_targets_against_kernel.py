"""What targets do to a packet is seen by the rules behind them; the flow through chains by every counter."""

from __future__ import annotations

import pytest

from pktdiag.netfilter.context import CtState

from .conftest import Lab
from .oracle import Wire
from .test_against_kernel import V4, V6, judge, packets, wire
from .wire import SYN_OPTIONS, packet

__all__ = ["wire"]

pytestmark = pytest.mark.root

MARKS = """
-A PREROUTING -j MARK --set-xmark 0x10/0xff
-A PREROUTING -m mark --mark 0x10
-A PREROUTING -j MARK --or-mark 5
-A PREROUTING -m mark --mark 0x15
-A PREROUTING -j MARK --and-mark 0x11
-A PREROUTING -m mark --mark 0x11
-A PREROUTING -j MARK --xor-mark 0x3
-A PREROUTING -m mark --mark 0x12
-A PREROUTING -j CONNMARK --save-mark
-A PREROUTING -m connmark --mark 0x12
-A PREROUTING -j MARK --set-mark 0
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xf
-A PREROUTING -m mark --mark 2
-A PREROUTING -j CONNMARK --set-mark 0x3 --left-shift-mark 4
-A PREROUTING -m connmark --mark 0x30
-A PREROUTING -j CONNMARK --restore-mark --right-shift-mark 4
-A PREROUTING -m mark --mark 3
-A PREROUTING -j CONNMARK --set-mark 0xff00/0xff00
-A PREROUTING -j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff
-A PREROUTING -m connmark --mark 0xff03
-A PREROUTING -j MARK --set-mark 0
"""
FIELDS = """
-A PREROUTING -j DSCP --set-dscp 10
-A PREROUTING -m dscp --dscp 10
-A PREROUTING -j TOS --set-tos 0x13/0x3f
-A PREROUTING -m tos --tos 0x13/0x3f
-A PREROUTING -m dscp --dscp 4
-A PREROUTING -p tcp -j TCPOPTSTRIP --strip-options 8
-A PREROUTING -p tcp -m tcp --tcp-option 8
-A PREROUTING -p tcp -m tcp ! --tcp-option 8
-A PREROUTING -p tcp --syn -j TCPMSS --set-mss 500
-A PREROUTING -p tcp --syn -m tcpmss --mss 500
-A PREROUTING -p tcp --syn -m tcpmss --mss 501:65535
-A PREROUTING -m length --length 64
-A PREROUTING -m length ! --length 60
"""
TTL = """
-A PREROUTING -j TTL --ttl-set 33
-A PREROUTING -m ttl --ttl-eq 33
-A PREROUTING -j TTL --ttl-inc 5
-A PREROUTING -m ttl --ttl-eq 38
-A PREROUTING -j TTL --ttl-dec 8
-A PREROUTING -m ttl --ttl-eq 30
-A PREROUTING -j TTL --ttl-inc 255
-A PREROUTING -m ttl --ttl-eq 255
-A PREROUTING -p tcp -j ECN --ecn-tcp-remove
-A PREROUTING -p tcp -m ecn --ecn-tcp-ece
-A PREROUTING -p tcp -m ecn ! --ecn-tcp-cwr
"""
LISTS = """
-A PREROUTING -m set --match-set ips src
-A PREROUTING -j SET --add-set ips src
-A PREROUTING -m set --match-set ips src
-A PREROUTING -j SET --del-set ips src
-A PREROUTING -m set --match-set ips src
-A PREROUTING -j SET --map-set skb src --map-mark
-A PREROUTING -m mark --mark 0x1234
-A PREROUTING -m recent --name q --set
-A PREROUTING -m recent --name q --rcheck
-A PREROUTING -m recent --name q --remove
-A PREROUTING -m recent --name q --rcheck
-A PREROUTING -m connlabel --label 5
-A PREROUTING -m connlabel --label 5 --set
-A PREROUTING -m connlabel --label 5
"""
FLOW = """
:A - [0:0]
:B - [0:0]
:C - [0:0]
:EMPTY - [0:0]
-A INPUT -j EMPTY
-A INPUT -p tcp -j A
-A INPUT -p udp -g A
-A INPUT -p udp
-A INPUT -p icmp -j B
-A INPUT -p sctp -j RETURN
-A INPUT -p sctp
-A INPUT -p gre -j ACCEPT
-A INPUT -p gre
-A INPUT -p 99 -j DROP
-A INPUT
-A A -g B
-A A
-A B -j C
-A B -m mark --mark 7 -j ACCEPT
-A B
-A C -p tcp --dport 22 -j REJECT --reject-with tcp-reset
-A C -p tcp --dport 80 -j RETURN
-A C -p udp --dport 5 -j DROP
-A C
"""
HMARKS = ("-j HMARK --hmark-tuple src,dst --hmark-mod 10 --hmark-rnd 0xcafe", "-j HMARK --hmark-tuple src,dst,sport,dport --hmark-mod 10 --hmark-rnd 7",
          "-j HMARK --hmark-src-prefix 24 --hmark-dst-prefix 24 --hmark-mod 10 --hmark-rnd 8", "-j HMARK --hmark-tuple ct --hmark-mod 10 --hmark-rnd 5",
          "-j HMARK --hmark-sport-mask 0xff --hmark-dport 0x50 --hmark-proto-mask 0xff --hmark-mod 10 --hmark-offset 100 --hmark-rnd 9")
NPT = """
-A PREROUTING -j DNPT --src-pfx 2001:db8::/64 --dst-pfx fd00:1:2::/64
-A PREROUTING -d fd00:1:2::/48
-A PREROUTING -d 2001:db8::/64
-A PREROUTING -d {there}
-A PREROUTING -j DNPT --src-pfx fd00:1:2::/64 --dst-pfx 2001:db8::/64
-A PREROUTING -d 2001:db8::2
"""


def table(name: str, rules: str) -> str:
    return f"*{name}\n{rules.strip()}\nCOMMIT\n"


def test_marks_and_header_fields(lab: Lab, wire: Wire) -> None:
    lab.run("iptables-legacy-restore", stdin=table("mangle", MARKS + FIELDS + TTL) + table("filter", "-A INPUT -m ttl --ttl-eq 255"))
    judge(lab, wire, 2, packets(2))


def test_header_fields_of_ipv6(lab: Lab, wire: Wire) -> None:
    rules = MARKS + FIELDS.replace("--mss 500", "--mss 500") + TTL.replace("TTL --ttl", "HL --hl").replace("ttl", "hl").replace(
        "-A PREROUTING -p tcp -j ECN --ecn-tcp-remove\n", "")
    lab.run("ip6tables-legacy-restore", stdin=table("mangle", rules) + table("filter", "-A INPUT -m hl --hl-eq 255"))
    judge(lab, wire, 10, packets(10))


def test_lists_change_under_the_packet(lab: Lab, wire: Wire) -> None:
    lab.run("ipset", "create", "ips", "hash:ip")
    lab.run("ipset", "create", "skb", "hash:ip", "skbinfo")
    lab.run("ipset", "add", "skb", V4[0], "skbmark", "0x1234", "skbprio", "1:2")
    lab.run("iptables-legacy-restore", stdin=table("mangle", LISTS) + table("filter", "-A INPUT -m mark --mark 0x1234"))
    judge(lab, wire, 2, packets(2))


def test_chains(lab: Lab, wire: Wire) -> None:
    lab.run("iptables-legacy-restore", stdin=table("filter", FLOW))
    judge(lab, wire, 2, packets(2))


def test_notrack(lab: Lab, wire: Wire) -> None:
    raw = "-A PREROUTING -p tcp -j CT --notrack\n-A PREROUTING -p udp -j NOTRACK\n-A PREROUTING -j TRACE"
    states = "\n".join(f"-A INPUT -m conntrack --ctstate {state}\n-A INPUT -m state --state {state}" for state in ("NEW", "INVALID", "UNTRACKED"))
    lab.run("iptables-legacy-restore", stdin=table("raw", raw) + table("filter", states))
    judge(lab, wire, 2, packets(2))


@pytest.mark.parametrize("rule", HMARKS)
@pytest.mark.parametrize("family", [2, 10])
def test_hmark(lab: Lab, wire: Wire, family: int, rule: str) -> None:
    if family == 10:
        rule = rule.replace("prefix 24", "prefix 64")
    marks = "\n".join(f"-A PREROUTING -m mark --mark {mark}" for mark in (*range(10), *range(100, 110)))
    tool = "iptables-legacy-restore" if family == 2 else "ip6tables-legacy-restore"
    protocols = "\n".join(f"-A PREROUTING -p {proto} {rule}" for proto in ("tcp", "udp", "icmp" if family == 2 else "icmpv6"))
    lab.run(tool, stdin=table("mangle", f"{protocols}\n{marks}") + table("filter", "-A INPUT -m state --state NEW"))
    judge(lab, wire, family, [case for case in packets(family) if case[1].proto in (6, 17, 1, 58)])


def test_prefix_translation(lab: Lab, wire: Wire) -> None:
    from pktdiag.model.packet import format_address, parse_address
    from pktdiag.netfilter.xt.targets.snpt import Npt, translate

    npt = Npt(parse_address("2001:db8::"), parse_address("fd00:1:2::"), 64, 64)
    there = translate(npt, parse_address(V6[1]))
    assert there is not None
    lab.run("ip6tables-legacy-restore", stdin=table("mangle", NPT.format(there=format_address(there))) + table("filter", "-A INPUT"))
    judge(lab, wire, 10, [("udp", packet(*V6, 17, sport=4, dport=5), CtState.NEW),
                          ("syn", packet(*V6, 6, sport=4, dport=5, tcp_options=SYN_OPTIONS), CtState.NEW)])
