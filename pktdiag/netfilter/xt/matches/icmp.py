"""icmp: type and code. net/netfilter/xt_tcpudp.c (before 6.6: ipv4/netfilter/ip_tables.c): icmp_match."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Icmp(NamedTuple):
    """struct ipt_icmp."""

    type: int
    """0xFF: any type."""
    code_min: int
    code_max: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Icmp:
    if rev != 0:
        raise UnknownRevisionError
    type_, low, high, inv = unpack_from("=4B", data)
    return Icmp(type_, low, high, bool(inv & 1))


def evaluate(info: Icmp, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    same = info.type == 0xFF or (packet.icmp_type == info.type and info.code_min <= packet.icmp_code <= info.code_max)
    return same != info.invert


def render(info: Icmp, family: int) -> str:
    if info.type == 0xFF:
        return f"{bang(info.invert)}--icmp-type any"
    code = f"/{info.code_min}" if (info.code_min, info.code_max) != (0, 0xFF) else ""
    return f"{bang(info.invert)}--icmp-type {info.type}{code}"
