"""pkttype: how the frame was addressed. net/netfilter/xt_pkttype.c: pkttype_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import PACKET_BROADCAST, PACKET_LOOPBACK, PACKET_MULTICAST
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

NAMES = ("unicast", "broadcast", "multicast", "otherhost", "outgoing", "loopback", "fastroute")


class PktType(NamedTuple):
    """struct xt_pkttype_info: PACKET_*."""

    type: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> PktType:
    if rev != 0:
        raise UnknownRevisionError
    type_, invert = unpack_from("=ii", data)
    return PktType(type_, bool(invert))


def evaluate(info: PktType, ctx: HookContext) -> Tri:
    """A looped-back copy counts by its destination: multicast, else broadcast."""
    type_, dst = ctx.skb.pkt_type, ctx.skb.packet.dst
    if type_ == PACKET_LOOPBACK:
        multicast = dst[0] & 0xF0 == 0xE0 if len(dst) == 4 else dst[0] == 0xFF
        type_ = PACKET_MULTICAST if multicast else PACKET_BROADCAST
    return (type_ == info.type) != info.invert


def render(info: PktType, family: int) -> str:
    name = NAMES[info.type] if 0 <= info.type < len(NAMES) else str(info.type)
    return f"{bang(info.invert)}--pkt-type {name}"
