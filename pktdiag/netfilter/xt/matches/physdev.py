"""physdev: the bridge ports of a bridged packet. net/netfilter/xt_physdev.c: physdev_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, interface_matches, interface_text

IN, OUT, BRIDGED, ISIN, ISOUT = 0x01, 0x02, 0x04, 0x08, 0x10


class Physdev(NamedTuple):
    """struct xt_physdev_info."""

    indev: tuple[bytes, bytes]
    outdev: tuple[bytes, bytes]
    """(name, mask)"""
    invert: int
    bitmask: int


def decode(rev: int, data: bytes, family: int) -> Physdev:
    if rev != 0:
        raise UnknownRevisionError
    indev, in_mask, outdev, out_mask, invert, bitmask = unpack_from("=16s16s16s16sBB", data)
    return Physdev((indev, in_mask), (outdev, out_mask), invert, bitmask)


def _port(ctx: HookContext, ifindex: int | None) -> str | None:
    if ifindex is None:
        return None
    link = ctx.ns.link(ifindex)
    return link.name if link is not None else f"if{ifindex}"


def evaluate(info: Physdev, ctx: HookContext) -> Tri:
    """Without bridge information (not bridged, or br_netfilter off) only inverted options hold."""
    mask, invert = info.bitmask, info.invert
    if ctx.skb.physin is None and ctx.skb.physout is None:
        return not mask & ~invert & (IN | OUT | BRIDGED | ISIN | ISOUT)
    indev, outdev = _port(ctx, ctx.skb.physin), _port(ctx, ctx.skb.physout)
    if mask & BRIDGED and (outdev is not None) == bool(invert & BRIDGED):
        return False
    if mask & ISIN and (indev is not None) == bool(invert & ISIN):
        return False
    if mask & ISOUT and (outdev is not None) == bool(invert & ISOUT):
        return False
    if mask & IN and indev is not None and interface_matches(indev, *info.indev) == bool(invert & IN):
        return False
    if not mask & OUT:
        return True
    return outdev is not None and interface_matches(outdev, *info.outdev) != bool(invert & OUT)


def render(info: Physdev, family: int) -> str:
    parts = []
    for flag, option in ((ISIN, "--physdev-is-in"), (IN, f"--physdev-in {interface_text(*info.indev)}"), (ISOUT, "--physdev-is-out"),
                         (OUT, f"--physdev-out {interface_text(*info.outdev)}"), (BRIDGED, "--physdev-is-bridged")):
        if info.bitmask & flag:
            parts.append(bang(info.invert & flag) + option)
    return " ".join(parts)
