"""DSCP: sets the DSCP field. net/netfilter/xt_DSCP.c: dscp_tg, dscp_tg6."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    return data[0]


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    ctx.skb.packet = ctx.skb.packet._replace(tos=info << 2 & 0xFC | ctx.skb.packet.tos & 3)
    return None


def render(info: int, family: int) -> str:
    return f"--set-dscp {info:#04x}"
