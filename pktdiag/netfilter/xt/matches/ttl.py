"""ttl: the TTL. net/netfilter/xt_hl.c: ttl_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError

EQ, NE, LT, GT = range(4)
OPTIONS = ("--{}-eq", "! --{}-eq", "--{}-lt", "--{}-gt")


class Ttl(NamedTuple):
    """struct ipt_ttl_info, struct ip6t_hl_info."""

    mode: int
    value: int


def decode(rev: int, data: bytes, family: int) -> Ttl:
    if rev != 0:
        raise UnknownRevisionError
    info = Ttl(*unpack_from("=BB", data))
    if info.mode > GT:
        raise ValueError("mode")
    return info


def evaluate(info: Ttl, ctx: HookContext) -> Tri:
    ttl = ctx.skb.packet.ttl
    return (ttl == info.value, ttl != info.value, ttl < info.value, ttl > info.value)[info.mode]


def shown(info: Ttl, name: str) -> str:
    return f"{OPTIONS[info.mode].format(name)} {info.value}"


def render(info: Ttl, family: int) -> str:
    return shown(info, "ttl")
