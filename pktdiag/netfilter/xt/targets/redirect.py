"""REDIRECT: DNAT to this host. net/netfilter/xt_REDIRECT.c, nf_nat_redirect.c."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, NatRange
from pktdiag.netfilter.xt.targets.masquerade import decode, render
from pktdiag.netfilter.xt.targets.natrange import without_unset

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: NatRange, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return ctx.services.redirect(ctx, without_unset(info))
