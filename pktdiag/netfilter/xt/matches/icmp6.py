"""icmp6: type and code. net/netfilter/xt_tcpudp.c (before 6.6: ipv6/netfilter/ip6_tables.c): icmp6_match."""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang
from pktdiag.netfilter.xt.matches.icmp import Icmp, decode

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: Icmp, ctx: HookContext) -> Tri:
    """Unlike IPv4, type 255 is no wildcard here."""
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    same = packet.icmp_type == info.type and info.code_min <= packet.icmp_code <= info.code_max
    return same != info.invert


def render(info: Icmp, family: int) -> str:
    code = f"/{info.code_min}" if (info.code_min, info.code_max) != (0, 0xFF) else ""
    return f"{bang(info.invert)}--icmpv6-type {info.type}{code}"
