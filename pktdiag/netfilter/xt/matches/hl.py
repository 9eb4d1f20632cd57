"""hl: the hop limit. net/netfilter/xt_hl.c: hl_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError

EQ, NE, LT, GT = range(4)
OPTIONS = ("--hl-eq", "! --hl-eq", "--hl-lt", "--hl-gt")


class Hl(NamedTuple):
    """struct ip6t_hl_info."""

    mode: int
    value: int


def decode(rev: int, data: bytes, family: int) -> Hl:
    if rev != 0:
        raise UnknownRevisionError
    info = Hl(*unpack_from("=BB", data))
    if info.mode > GT:
        raise ValueError("hl mode")
    return info


def evaluate(info: Hl, ctx: HookContext) -> Tri:
    ttl = ctx.skb.packet.ttl
    return (ttl == info.value, ttl != info.value, ttl < info.value, ttl > info.value)[info.mode]


def render(info: Hl, family: int) -> str:
    return f"{OPTIONS[info.mode]} {info.value}"
