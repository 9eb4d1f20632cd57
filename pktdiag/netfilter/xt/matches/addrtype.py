"""addrtype: what kind of address this is to the host. net/netfilter/xt_addrtype.c: addrtype_mt_v0, addrtype_mt_v1, addrtype_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import NFPROTO_IPV6, RTN_ANYCAST, RTN_LOCAL, RTN_UNREACHABLE
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, xor

TYPES = ("UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW",
         "NAT", "XRESOLVE")
INVERT_SOURCE, INVERT_DEST, LIMIT_IFACE_IN, LIMIT_IFACE_OUT = 1, 2, 4, 8
UNSPEC, UNICAST, MULTICAST = 1 << 0, 1 << 1, 1 << 5
BY_ROUTE = 1 << 2 | 1 << 4 | 1 << 7


class AddrType(NamedTuple):
    """struct xt_addrtype_info / _v1: masks of 1 << RTN_*."""

    source: int
    dest: int
    flags: int


def decode(rev: int, data: bytes, family: int) -> AddrType:
    if rev == 0:
        source, dest, invert_source, invert_dest = unpack_from("=HHII", data)
        return AddrType(source, dest, (INVERT_SOURCE if invert_source else 0) | (INVERT_DEST if invert_dest else 0))
    if rev != 1:
        raise UnknownRevisionError
    return AddrType(*unpack_from("=HHI", data))


def evaluate(info: AddrType, ctx: HookContext) -> Tri:
    device = ctx.indev if info.flags & LIMIT_IFACE_IN else ctx.outdev if info.flags & LIMIT_IFACE_OUT else None
    ifindex = device.ifindex if device is not None else 0
    answers: list[Tri] = []
    for mask, address, inverted in ((info.source, ctx.skb.packet.src, info.flags & INVERT_SOURCE),
                                    (info.dest, ctx.skb.packet.dst, info.flags & INVERT_DEST)):
        if mask:
            answer = xor(_has_type(ctx, address, mask, ifindex), inverted)
            if answer is False:
                return False
            answers.append(answer)
    unknown = [answer for answer in answers if isinstance(answer, Unknown)]
    return unknown[0] if unknown else True


def _has_type(ctx: HookContext, address: bytes, mask: int, ifindex: int) -> Tri:
    if ctx.pf == NFPROTO_IPV6:
        return _has_type6(ctx, address, mask, ifindex)
    found = ctx.services.address_type(ctx, address, ifindex)
    return found if isinstance(found, Unknown) else bool(mask >> found & 1)


def _has_type6(ctx: HookContext, address: bytes, mask: int, ifindex: int) -> Tri:
    """match_type6: the classes named all have to hold, then one of the routed kinds."""
    multicast, unspecified = address[0] == 0xFF, not any(address)
    if mask & MULTICAST and not multicast:
        return False
    if mask & UNICAST and (multicast or unspecified):
        return False
    if mask & UNSPEC and not unspecified:
        return False
    if not mask & BY_ROUTE:
        return True
    found = ctx.services.address_type(ctx, address, ifindex)
    if isinstance(found, Unknown):
        return found
    return found in (RTN_LOCAL, RTN_ANYCAST, RTN_UNREACHABLE) and bool(mask >> found & 1)


def render(info: AddrType, family: int) -> str:
    parts = []
    for mask, option, inverted in ((info.source, "--src-type", info.flags & INVERT_SOURCE),
                                   (info.dest, "--dst-type", info.flags & INVERT_DEST)):
        if mask:
            parts.append(f"{bang(inverted)}{option} " + ",".join(name for bit, name in enumerate(TYPES) if mask >> bit & 1))
    if info.flags & LIMIT_IFACE_IN:
        parts.append("--limit-iface-in")
    if info.flags & LIMIT_IFACE_OUT:
        parts.append("--limit-iface-out")
    return " ".join(parts)
