"""udp: ports. net/netfilter/xt_tcpudp.c: udp_mt (the same function serves udplite)."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range

INV_SRCPT, INV_DSTPT = 1, 2


class Udp(NamedTuple):
    """struct xt_udp."""

    spts: tuple[int, int]
    dpts: tuple[int, int]
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Udp:
    if rev != 0:
        raise UnknownRevisionError
    s0, s1, d0, d1, inv = unpack_from("=4HB", data)
    return Udp((s0, s1), (d0, d1), inv)


def evaluate(info: Udp, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    return ((info.spts[0] <= packet.sport <= info.spts[1]) != bool(info.invflags & INV_SRCPT)
            and (info.dpts[0] <= packet.dport <= info.dpts[1]) != bool(info.invflags & INV_DSTPT))


def render(info: Udp, family: int) -> str:
    parts = []
    if info.spts != (0, 0xFFFF):
        parts.append(f"{bang(info.invflags & INV_SRCPT)}--sport {port_range(*info.spts)}")
    if info.dpts != (0, 0xFFFF):
        parts.append(f"{bang(info.invflags & INV_DSTPT)}--dport {port_range(*info.dpts)}")
    return " ".join(parts)
