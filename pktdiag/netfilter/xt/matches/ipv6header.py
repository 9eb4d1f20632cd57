"""ipv6header: which extension headers there are. net/ipv6/netfilter/ip6t_ipv6header.c: ipv6header_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_ESP, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_NONE, IPPROTO_ROUTING
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

NAMES = ((128, "hop-by-hop"), (64, "ipv6-opts"), (32, "ipv6-route"), (16, "ipv6-frag"), (8, "ah"), (4, "esp"), (2, "ipv6-nonxt"),
         (1, "protocol"))
AH, ESP, NONE, PROTO = 8, 4, 2, 1
BITS = {IPPROTO_HOPOPTS: 128, IPPROTO_DSTOPTS: 64, IPPROTO_ROUTING: 32, IPPROTO_FRAGMENT: 16, IPPROTO_AH: 8}


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
    packet = ctx.skb.packet
    found, proto = 0, packet.proto
    if packet.ext_headers or packet.fragment_offset or packet.more_fragments:
        from pktdiag.model.exthdr import chain

        for number, _ in chain(packet):
            found |= BITS.get(number, 0)
    if packet.fragment_offset and proto in BITS:
        if "payload" in packet.unknown:
            return Unknown("what the fragment carries looks like the extension headers the rule asks for")
        more = _behind(packet)
        if more is None:
            return False
        found, proto = found | more[0], more[1]
    found |= {IPPROTO_AH: AH | PROTO, IPPROTO_ESP: ESP, IPPROTO_NONE: NONE}.get(proto, PROTO)
    if info.soft:
        return not (found ^ info.matchflags ^ (0xFF if info.invert else 0)) & info.matchflags
    return (found == info.matchflags) != info.invert


def _behind(packet: Packet) -> tuple[int, int] | None:
    """(bits, protocol) of what a later fragment begins with, which is walked through as if extension headers stood there; None where it
    ends within one."""
    from pktdiag.model.exthdr import size

    found, proto, at = 0, packet.proto, 0
    room = packet.length - packet.header_length
    data = packet.payload.ljust(room, b"\0")
    while proto in BITS and at <= room:
        if room - at < 2:
            return None
        found |= BITS[proto]
        proto, at = data[at], at + size(proto, data[at:])
    return found, proto


def render(info: Ipv6Header, family: int) -> str:
    names = ",".join(name for bit, name in NAMES if info.matchflags & bit)
    return f"{bang(info.invert)}--header {names}{' --soft' if info.soft else ''}"
