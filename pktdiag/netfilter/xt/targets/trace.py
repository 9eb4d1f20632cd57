"""TRACE: has every rule of the way reported. net/netfilter/xt_TRACE.c: trace_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> None:
    if rev != 0:
        raise UnknownRevisionError


def evaluate(info: None, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    ctx.skb.nf_trace = True
    return None


def render(info: None, family: int) -> str:
    return ""
