"""mac: the frame's source address. net/netfilter/xt_mac.c: mac_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

ARPHRD_ETHER = 1


class Mac(NamedTuple):
    """struct xt_mac_info."""

    address: bytes
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Mac:
    if rev != 0:
        raise UnknownRevisionError
    address, invert = unpack_from("=6s2xi", data)
    return Mac(address, bool(invert))


def evaluate(info: Mac, ctx: HookContext) -> Tri:
    """Without an Ethernet header it does not match, inverted or not."""
    device = ctx.indev or ctx.outdev
    if len(ctx.skb.src_mac) != 6 or device is None or device.type != ARPHRD_ETHER:
        return False
    return (ctx.skb.src_mac == info.address) != info.invert


def render(info: Mac, family: int) -> str:
    return f"{bang(info.invert)}--mac-source {info.address.hex(':')}"
