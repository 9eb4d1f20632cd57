"""mark: the packet's mark. net/netfilter/xt_mark.c: mark_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Mark(NamedTuple):
    """struct xt_mark_mtinfo1."""

    mark: int
    mask: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Mark:
    if rev != 1:
        raise UnknownRevisionError
    mark, mask, invert = unpack_from("=IIB", data)
    return Mark(mark, mask, bool(invert))


def evaluate(info: Mark, ctx: HookContext) -> Tri:
    return (ctx.skb.mark & info.mask == info.mark) != info.invert


def mark_text(mark: int, mask: int) -> str:
    return f"{mark:#x}" if mask == 0xFFFFFFFF else f"{mark:#x}/{mask:#x}"


def render(info: Mark, family: int) -> str:
    return f"{bang(info.invert)}--mark {mark_text(info.mark, info.mask)}"
