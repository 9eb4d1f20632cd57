"""rpfilter: whether the way back leads to where it came from. net/ipv{4,6}/netfilter/ip{t,6t}_rpfilter.c: rpfilter_mt."""

from __future__ import annotations

from pktdiag.model.kernel import IFF_LOOPBACK, PACKET_LOOPBACK, RTN_ANYCAST, RTN_LOCAL, RTN_UNICAST
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, xor

LOOSE, VALID_MARK, ACCEPT_LOCAL, INVERT = 1, 2, 4, 8
LOOPBACK_IFINDEX = 1


def decode(rev: int, data: bytes, family: int) -> int:
    """The flags."""
    if rev != 0:
        raise UnknownRevisionError
    return data[0]


def evaluate(info: int, ctx: HookContext) -> Tri:
    return xor(_passes(info, ctx), info & INVERT)


def _passes(info: int, ctx: HookContext) -> Tri:
    packet, device = ctx.skb.packet, ctx.indev
    if ctx.skb.pkt_type == PACKET_LOOPBACK or (device is not None and device.flags & IFF_LOOPBACK):
        return True
    mark = ctx.skb.mark if info & VALID_MARK else 0
    source: bytes | None = packet.dst
    if len(packet.src) == 4:
        if packet.src[0] == 0 and (packet.dst == b"\xff" * 4 or packet.dst[:3] == b"\xe0\0\0"):
            return True
        if packet.dst[0] & 0xF0 == 0xE0 or packet.dst == b"\xff" * 4 or packet.dst[0] == 0:
            source = None
        found = ctx.services.fib_lookup(ctx, packet.src, source, iif=LOOPBACK_IFINDEX, mark=mark, tos=packet.tos & 0x1E)
    else:
        if not any(packet.src):
            return True
        if packet.dst[0] == 0xFF:
            source = None
        oif = 0 if info & LOOSE or device is None else device.ifindex
        found = ctx.services.fib_lookup(ctx, packet.src, source, oif=oif, iif=LOOPBACK_IFINDEX, mark=mark)
    if isinstance(found, Unknown):
        return found
    if found.type == RTN_LOCAL and info & ACCEPT_LOCAL:
        if len(packet.src) == 16:
            return True
    elif found.type != RTN_UNICAST or found.type == RTN_ANYCAST:
        return False
    return bool(info & LOOSE) or (device is not None and found.oif == device.ifindex)


def render(info: int, family: int) -> str:
    names = ((LOOSE, "--loose"), (VALID_MARK, "--validmark"), (ACCEPT_LOCAL, "--accept-local"), (INVERT, "--invert"))
    return " ".join(name for bit, name in names if info & bit)
