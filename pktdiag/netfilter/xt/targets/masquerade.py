"""MASQUERADE. net/netfilter/xt_MASQUERADE.c: masquerade_tg, masquerade_tg6."""

from __future__ import annotations

from pktdiag.model.kernel import AF_INET6
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, NatRange
from pktdiag.netfilter.xt.base import UnknownRevisionError
from pktdiag.netfilter.xt.targets.natrange import PROTO_SPECIFIED, compat_range, flag_words, inet_range, port_text, without_unset


def decode(rev: int, data: bytes, family: int) -> NatRange:
    if rev != 0:
        raise UnknownRevisionError
    return inet_range(data, family, base=False) if family == AF_INET6 else compat_range(data)


def evaluate(info: NatRange, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return ctx.services.masquerade(ctx, without_unset(info))


def render(info: NatRange, family: int) -> str:
    ports = [f"--to-ports {port_text(info)}"] if info.flags & PROTO_SPECIFIED else []
    return " ".join([*ports, *flag_words(info)])
