"""AUDIT: a record for the audit daemon. net/netfilter/xt_AUDIT.c: audit_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

TYPES = ("accept", "drop", "reject")


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    return data[0]


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    if rule is not None:
        ctx.services.log_line(ctx, rule, "", 0, 0, "audit")
    return None


def render(info: int, family: int) -> str:
    return f"--type {TYPES[info] if info < 3 else info}"
