"""length: bytes of the whole IP packet. net/netfilter/xt_length.c: length_mt, length_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range


class Length(NamedTuple):
    """struct xt_length_info."""

    low: int
    high: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Length:
    if rev != 0:
        raise UnknownRevisionError
    low, high, invert = unpack_from("=HHB", data)
    return Length(low, high, bool(invert))


def evaluate(info: Length, ctx: HookContext) -> Tri:
    if "length" in ctx.skb.packet.unknown:
        return Unknown(f"the packet's length {'lies outside' if info.invert else 'lies in'} {port_range(info.low, info.high)}")
    return (info.low <= ctx.skb.packet.length <= info.high) != info.invert


def render(info: Length, family: int) -> str:
    return f"{bang(info.invert)}--length {port_range(info.low, info.high)}"
