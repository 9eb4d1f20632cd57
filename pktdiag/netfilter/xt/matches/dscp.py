"""dscp: the DSCP field. net/netfilter/xt_dscp.c: dscp_mt, dscp_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Dscp(NamedTuple):
    """struct xt_dscp_info."""

    dscp: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Dscp:
    if rev != 0:
        raise UnknownRevisionError
    dscp, invert = unpack_from("=BB", data)
    return Dscp(dscp, bool(invert))


def evaluate(info: Dscp, ctx: HookContext) -> Tri:
    return (ctx.skb.packet.tos >> 2 == info.dscp) != info.invert


def render(info: Dscp, family: int) -> str:
    return f"{bang(info.invert)}--dscp {info.dscp:#04x}"
