"""mh: the type of a mobility header. net/netfilter/xt_mh.c (ip6t_mh.c): mh_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_MH, IPPROTO_NONE
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, hotdrop, port_range


class Mh(NamedTuple):
    """struct ip6t_mh."""

    low: int
    high: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Mh:
    if rev != 0:
        raise UnknownRevisionError
    low, high, inv = unpack_from("=BBB", data)
    return Mh(low, high, bool(inv & 1))


def evaluate(info: Mh, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset or packet.proto != IPPROTO_MH:
        return False
    if len(packet.payload) >= 6 and "payload" not in packet.unknown:
        if packet.payload[0] != IPPROTO_NONE:
            return hotdrop(ctx)
        return (info.low <= packet.payload[2] <= info.high) != info.invert
    if (info.low, info.high) == (0, 0xFF):
        return not info.invert
    return Unknown(f"the mobility header's type {'lies outside' if info.invert else 'lies in'} {port_range(info.low, info.high)}")


def render(info: Mh, family: int) -> str:
    return f"{bang(info.invert)}--mh-type {port_range(info.low, info.high)}" if (info.low, info.high) != (0, 0xFF) else ""
