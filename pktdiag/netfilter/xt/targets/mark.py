"""MARK: sets bits of the packet's mark. net/netfilter/xt_mark.c: mark_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import NFPROTO_ARP
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> tuple[int, int]:
    """(mark, mask)"""
    if rev != 2:
        raise UnknownRevisionError
    mark, mask = unpack_from("=II", data)
    return mark, mask


def evaluate(info: tuple[int, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    mark, mask = info
    ctx.skb.mark = ctx.skb.mark & ~mask & 0xFFFFFFFF ^ mark
    return None


def render(info: tuple[int, int], family: int) -> str:
    mark, mask = info
    if family == NFPROTO_ARP:
        return f"--and-mark {~mask & 0xFFFFFFFF:x}" if not mark else f"--or-mark {mark:x}" if mark == mask else f"--set-mark {mark:x}"
    return f"--set-xmark {mark:#x}/{mask:#x}"
