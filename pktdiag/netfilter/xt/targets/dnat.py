"""DNAT. net/netfilter/xt_nat.c: xt_dnat_target_v0, _v1, _v2."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, NatRange
from pktdiag.netfilter.xt.base import UnknownRevisionError
from pktdiag.netfilter.xt.targets.natrange import compat_range, flag_words, inet_range, range_text, without_unset


def decode(rev: int, data: bytes, family: int) -> NatRange:
    if rev == 0:
        return compat_range(data)
    if rev > 2:
        raise UnknownRevisionError
    return inet_range(data, family, base=rev == 2)


def evaluate(info: NatRange, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return ctx.services.nat_setup(ctx, without_unset(info), False)


def render(info: NatRange, family: int) -> str:
    return " ".join([f"--to-destination {range_text(info)}", *flag_words(info)])
