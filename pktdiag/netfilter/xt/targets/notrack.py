"""NOTRACK: conntrack lets the packet alone. net/netfilter/xt_CT.c: notrack_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import CtState, HookContext, HookResult, seen_by_conntrack
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> None:
    if rev != 0:
        raise UnknownRevisionError


def evaluate(info: None, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    if not seen_by_conntrack(ctx.skb):
        ctx.skb.ct_state = CtState.UNTRACKED
    return None


def render(info: None, family: int) -> str:
    return ""
