"""ebtables mark: changes the frame's mark. net/bridge/netfilter/ebt_mark.c: ebt_mark_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.targets.ebt_verdict import name_of, result_of, verdict_of

SET, OR, AND, XOR = -0x10, -0x20, -0x30, -0x40
NAMES = {SET: "set", OR: "or", AND: "and", XOR: "xor"}


def decode(rev: int, data: bytes, family: int) -> tuple[int, int]:
    """(mark, target)"""
    mark, target = unpack_from("@Li", data)
    return mark & 0xFFFFFFFF, target


def evaluate(info: tuple[int, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | str | None:
    mark, target = info
    action, skb = target & -16, ctx.skb
    skb.mark = mark if action == SET else skb.mark | mark if action == OR else skb.mark & mark if action == AND else skb.mark ^ mark
    return result_of(verdict_of(target), rule)


def render(info: tuple[int, int], family: int) -> str:
    mark, target = info
    return f"--mark-{NAMES.get(target & -16, 'set')} {mark:#x} --mark-target {name_of(verdict_of(target))}"
