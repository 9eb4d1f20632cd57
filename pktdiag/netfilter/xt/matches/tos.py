"""tos: the TOS or traffic class byte under a mask. net/netfilter/xt_dscp.c: tos_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Tos(NamedTuple):
    """struct xt_tos_match_info (revision 1); revision 0's struct ipt_tos_info {tos, invert} compares the whole byte."""

    mask: int
    value: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Tos:
    if rev != 1:
        raise UnknownRevisionError
    mask, value, invert = unpack_from("=BBB", data)
    return Tos(mask, value, bool(invert))


def evaluate(info: Tos, ctx: HookContext) -> Tri:
    return (ctx.skb.packet.tos & info.mask == info.value) != info.invert


def render(info: Tos, family: int) -> str:
    return f"{bang(info.invert)}--tos {info.value:#04x}/{info.mask:#04x}"
