"""SNAT. net/netfilter/xt_nat.c: xt_snat_target_v0, _v1, _v2."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, NatRange
from pktdiag.netfilter.xt.targets.dnat import decode
from pktdiag.netfilter.xt.targets.natrange import flag_words, range_text, without_unset

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: NatRange, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return ctx.services.nat_setup(ctx, without_unset(info), True)


def render(info: NatRange, family: int) -> str:
    return " ".join([f"--to-source {range_text(info)}", *flag_words(info)])
