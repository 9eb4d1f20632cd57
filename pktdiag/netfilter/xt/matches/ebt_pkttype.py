"""ebtables pkttype: how the frame was addressed. net/bridge/netfilter/ebt_pkttype.c: ebt_pkttype_mt."""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang
from pktdiag.netfilter.xt.matches.pkttype import PktType

NAMES = ("host", "broadcast", "multicast", "otherhost", "outgoing", "loopback", "fastroute")


def decode(rev: int, data: bytes, family: int) -> PktType:
    return PktType(data[0], bool(data[1]))


def evaluate(info: PktType, ctx: HookContext) -> Tri:
    return (ctx.skb.pkt_type == info.type) != info.invert


def render(info: PktType, family: int) -> str:
    return f"--pkttype-type {bang(info.invert)}{NAMES[info.type] if info.type < len(NAMES) else info.type}"
