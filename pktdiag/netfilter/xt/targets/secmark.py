"""SECMARK: a security mark for SELinux. net/netfilter/xt_SECMARK.c: secmark_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, text


def decode(rev: int, data: bytes, family: int) -> str:
    """The security context."""
    if rev > 1:
        raise UnknownRevisionError
    return text(unpack_from("256s", data, 8 if rev == 0 else 1)[0])


def evaluate(info: str, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    ctx.skb.secmark = info
    return None


def render(info: str, family: int) -> str:
    return f"--selctx {info}"
