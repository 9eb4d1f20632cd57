"""CHECKSUM: fills in a checksum left to the hardware. net/netfilter/xt_CHECKSUM.c: checksum_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    return data[0]


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return None


def render(info: int, family: int) -> str:
    return "--checksum-fill" if info & 1 else ""
