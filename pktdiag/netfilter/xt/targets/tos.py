"""TOS: sets bits of the TOS or traffic class byte. net/netfilter/xt_DSCP.c: tos_tg, tos_tg6."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> tuple[int, int]:
    """(value, mask)"""
    if rev != 1:
        raise UnknownRevisionError
    return data[0], data[1]


def evaluate(info: tuple[int, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    value, mask = info
    ctx.skb.packet = ctx.skb.packet._replace(tos=ctx.skb.packet.tos & ~mask & 0xFF ^ value)
    return None


def render(info: tuple[int, int], family: int) -> str:
    return f"--set-tos {info[0]:#04x}/{info[1]:#04x}"
