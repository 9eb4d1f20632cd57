"""frag: the IPv6 fragment header. net/ipv6/netfilter/ip6t_frag.c: frag_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_FRAGMENT
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range
from pktdiag.netfilter.xt.matches.ext6 import found

IDS, LEN, RES, FST, MF, NMF = 1, 2, 4, 8, 16, 32


class Frag(NamedTuple):
    """struct ip6t_frag."""

    ids: tuple[int, int]
    length: int
    flags: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Frag:
    if rev != 0:
        raise UnknownRevisionError
    low, high, length, flags, inv = unpack_from("=IIIBB", data)
    return Frag((low, high), length, flags, inv)


def evaluate(info: Frag, ctx: HookContext) -> Tri:
    """The length is not looked at. A header that is only implied by the packet's fields has an id that nobody knows."""
    packet = ctx.skb.packet
    header = found(packet, IPPROTO_FRAGMENT)
    if header is None:
        return False
    place = int.from_bytes(header[2:4], "big")
    if info.flags & RES and (header[1] or place & 6):
        return False
    if info.flags & FST and place & 0xFFF8:
        return False
    if (info.flags & MF and not place & 1) or (info.flags & NMF and place & 1):
        return False
    if info.ids == (0, 0xFFFFFFFF):
        return not info.invflags & 1
    if any(number == IPPROTO_FRAGMENT for number, _ in packet.ext_headers):
        return (info.ids[0] <= int.from_bytes(header[4:8], "big") <= info.ids[1]) != bool(info.invflags & 1)
    return Unknown(f"the fragment's id {'lies outside' if info.invflags & 1 else 'lies in'} {port_range(*info.ids)}")


def render(info: Frag, family: int) -> str:
    parts = []
    if info.ids != (0, 0xFFFFFFFF):
        parts.append(f"{bang(info.invflags & 1)}--fragid {port_range(*info.ids)}")
    if info.flags & LEN:
        parts.append(f"{bang(info.invflags & 2)}--fraglen {info.length}")
    for flag, option in ((RES, "--fragres"), (FST, "--fragfirst"), (MF, "--fragmore"), (NMF, "--fraglast")):
        if info.flags & flag:
            parts.append(option)
    return " ".join(parts)
