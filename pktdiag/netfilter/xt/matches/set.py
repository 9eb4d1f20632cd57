"""set: whether the packet is in an ipset. net/netfilter/xt_set.c: set_match_v0..v4."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang
from pktdiag.netfilter.xt.ipset import INV_MATCH, RETURN_NOMATCH, SetUse, set_matches, set_name

SKIP_COUNTERS, SKIP_SUBCOUNTERS, FLAG_RETURN_NOMATCH = 1 << 3, 1 << 4, 1 << 7
COMPARISONS = {1: "eq", 2: "ne", 3: "lt", 4: "gt"}


class SetMatch(NamedTuple):
    """struct xt_set_info_match_v0..v4."""

    use: SetUse
    packets: tuple[int, int]
    bytes: tuple[int, int]
    """(comparison, value)"""
    flags: int


def old_use(data: bytes, at: int) -> SetUse:
    """Revision 0: one word of flags for each dimension (compat_flags of xt_set.c)."""
    index, *words = unpack_from("=H2x7I", data, at)
    flags, dim = INV_MATCH if words[0] & 4 else 0, 0
    for word in words[:6]:
        if not word & 3:
            break
        dim += 1
        if word & 1:
            flags |= 1 << dim
    return SetUse(index, dim, flags)


def decode(rev: int, data: bytes, family: int) -> SetMatch:
    if rev == 0:
        return SetMatch(old_use(data, 0), (0, 0), (0, 0), 0)
    if rev > 4:
        raise UnknownRevisionError
    index, dim, flags = unpack_from("=HBB", data)
    if dim > 6:
        raise ValueError("set")
    use = SetUse(index, dim, flags)
    if rev <= 2:
        return SetMatch(use, (0, 0), (0, 0), FLAG_RETURN_NOMATCH if flags & RETURN_NOMATCH else 0)
    if rev == 3:
        packets_op, packets, bytes_op, octets, more = unpack_from("=B7xQB7xQI", data, 8)
    else:
        packets, packets_op, octets, bytes_op, more = unpack_from("=QB7xQB7xI", data, 8)
    return SetMatch(use, (packets_op, packets), (bytes_op, octets), more)


def _counters(info: SetMatch) -> list[str]:
    parts = []
    for name, (comparison, value) in (("packets", info.packets), ("bytes", info.bytes)):
        if comparison in COMPARISONS:
            word = COMPARISONS[comparison]
            parts.append(f"! --{name}-eq {value}" if word == "ne" else f"--{name}-{word} {value}")
    return parts


def evaluate(info: SetMatch, ctx: HookContext) -> Tri:
    return set_matches(ctx, info.use, nomatch=bool(info.flags & FLAG_RETURN_NOMATCH), counters=" ".join(_counters(info)))


def render(info: SetMatch, family: int) -> str:
    return render_in(info, family, None)


def render_in(info: SetMatch, family: int, ns: NamespaceView | None) -> str:
    parts = [f"{bang(info.use.flags & INV_MATCH)}--match-set {set_name(ns, info.use.number)} {info.use.directions()}"]
    if info.flags & FLAG_RETURN_NOMATCH:
        parts.append("--return-nomatch")
    if info.flags & SKIP_COUNTERS:
        parts.append("! --update-counters")
    if info.flags & SKIP_SUBCOUNTERS:
        parts.append("! --update-subcounters")
    return " ".join(parts + _counters(info))
