"""ebtables mark_m: the frame's mark. net/bridge/netfilter/ebt_mark_m.c: ebt_mark_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang

AND, OR = 1, 2


class EbtMark(NamedTuple):
    """struct ebt_mark_m_info."""

    mark: int
    mask: int
    invert: bool
    bitmask: int


def decode(rev: int, data: bytes, family: int) -> EbtMark:
    mark, mask, invert, bitmask = unpack_from("@LLBB", data)
    return EbtMark(mark, mask, bool(invert), bitmask)


def evaluate(info: EbtMark, ctx: HookContext) -> Tri:
    hit = bool(ctx.skb.mark & info.mask) if info.bitmask & OR else ctx.skb.mark & info.mask == info.mark
    return hit != info.invert


def render(info: EbtMark, family: int) -> str:
    value = f"/{info.mask:#x}" if info.bitmask == OR else f"{info.mark:#x}/{info.mask:#x}" if info.mask != 0xFFFFFFFF else f"{info.mark:#x}"
    if info.mask == 0xFFFFFFFFFFFFFFFF:
        value = f"{info.mark:#x}"
    return f"--mark {bang(info.invert)}{value}"
