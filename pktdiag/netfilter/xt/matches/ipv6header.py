"""ipv6header: which extension headers there are. net/ipv6/netfilter/ip6t_ipv6header.c: ipv6header_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

NAMES = ((128, "hop-by-hop"), (64, "ipv6-opts"), (32, "ipv6-route"), (16, "ipv6-frag"), (8, "ah"), (4, "esp"), (2, "ipv6-nonxt"),
         (1, "protocol"))
FRAGMENT, AH, ESP, NONE, PROTO = 16, 8, 4, 2, 1


class Ipv6Header(NamedTuple):
    """struct ip6t_ipv6header_info."""

    matchflags: int
    invert: bool
    soft: bool


def decode(rev: int, data: bytes, family: int) -> Ipv6Header:
    if rev != 0:
        raise UnknownRevisionError
    flags, inv, mode = unpack_from("=BBB", data)
    return Ipv6Header(flags, bool(inv), bool(mode))


def evaluate(info: Ipv6Header, ctx: HookContext) -> Tri:
    """A packet of the walk carries no extension header but the fragment header its fields imply."""
    packet = ctx.skb.packet
    found = FRAGMENT if packet.fragment_offset or packet.more_fragments else 0
    found |= {51: AH | PROTO, 50: ESP, 59: NONE}.get(packet.proto, PROTO)
    if info.soft:
        return not (found ^ info.matchflags ^ (0xFF if info.invert else 0)) & info.matchflags
    return (found == info.matchflags) != info.invert


def render(info: Ipv6Header, family: int) -> str:
    names = ",".join(name for bit, name in NAMES if info.matchflags & bit)
    return f"{bang(info.invert)}--header {names}{' --soft' if info.soft else ''}"
