"""CONNSECMARK: copies the security mark. net/netfilter/xt_CONNSECMARK.c: connsecmark_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

SAVE, RESTORE = 1, 2


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    return data[0]


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    """Security marks decide only in an LSM, which is beyond this walk."""
    return None


def render(info: int, family: int) -> str:
    return {SAVE: "--save", RESTORE: "--restore"}.get(info, "")
