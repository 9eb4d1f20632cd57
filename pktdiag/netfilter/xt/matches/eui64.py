"""eui64: whether the source address is made from the source MAC. net/ipv6/netfilter/ip6t_eui64.c: eui64_mt6."""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> None:
    if rev != 0:
        raise UnknownRevisionError


def evaluate(info: None, ctx: HookContext) -> Tri:
    mac, source = ctx.skb.src_mac, ctx.skb.packet.src
    if len(mac) != 6 or len(source) != 16:
        return False
    return source[8:] == bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def render(info: None, family: int) -> str:
    return ""
