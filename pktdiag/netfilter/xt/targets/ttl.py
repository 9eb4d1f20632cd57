"""TTL: sets, raises or lowers the TTL. net/netfilter/xt_HL.c: ttl_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

SET, INC, DEC = range(3)
OPTIONS = ("--{}-set", "--{}-inc", "--{}-dec")


def decode(rev: int, data: bytes, family: int) -> tuple[int, int]:
    """(mode, value)"""
    if rev != 0:
        raise UnknownRevisionError
    if data[0] > DEC:
        raise ValueError("mode")
    return data[0], data[1]


def evaluate(info: tuple[int, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    mode, value = info
    ttl = ctx.skb.packet.ttl
    new = value if mode == SET else min(ttl + value, 255) if mode == INC else max(ttl - value, 0)
    ctx.skb.packet = ctx.skb.packet._replace(ttl=new)
    return None


def shown(info: tuple[int, int], name: str) -> str:
    return f"{OPTIONS[info[0]].format(name)} {info[1]}"


def render(info: tuple[int, int], family: int) -> str:
    return shown(info, "ttl")
