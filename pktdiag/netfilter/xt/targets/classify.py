"""CLASSIFY: sets the packet's priority, a tc class. net/netfilter/xt_CLASSIFY.c: classify_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import NFPROTO_ARP
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    priority: int = unpack_from("=I", data)[0]
    return priority


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    ctx.skb.priority = info
    return None


def render(info: int, family: int) -> str:
    if family == NFPROTO_ARP:
        return f"--set-class {info >> 16:x}:{info & 0xFFFF:x}"
    return f"--set-class {info >> 16:04x}:{info & 0xFFFF:04x}"
