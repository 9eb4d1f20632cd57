"""rt: the routing header. net/ipv6/netfilter/ip6t_rt.c: rt_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_ROUTING
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range
from pktdiag.netfilter.xt.matches.ext6 import found

__all__ = ["Rt", "decode", "evaluate", "render"]

TYP, SGS, LEN, RES, FST, FST_NSTRICT = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


class Rt(NamedTuple):
    """struct ip6t_rt."""

    type: int
    segsleft: tuple[int, int]
    length: int
    flags: int
    invflags: int
    addresses: tuple[bytes, ...]


def decode(rev: int, data: bytes, family: int) -> Rt:
    if rev != 0:
        raise UnknownRevisionError
    type_, low, high, length, flags, invflags = unpack_from("=4IBB", data)
    count = data[276]
    if count > 16:
        raise ValueError("rt")
    return Rt(type_, (low, high), length, flags, invflags, tuple(data[20 + 16 * i:36 + 16 * i] for i in range(count)))


def evaluate(info: Rt, ctx: HookContext) -> Tri:
    """Segments left, length and type; of type 0 also the reserved word and the addresses: all of them in order, or (not strict) those
    named among them in that order."""
    header = found(ctx.skb.packet, IPPROTO_ROUTING)
    if header is None:
        return False
    inv = info.invflags
    if (info.segsleft[0] <= header[3] <= info.segsleft[1]) == bool(inv & SGS):
        return False
    if info.flags & LEN and (info.length == len(header)) == bool(inv & LEN):
        return False
    if info.flags & TYP and (info.type == header[2]) == bool(inv & TYP):
        return False
    if info.flags & RES and any(header[4:8]):
        return False
    if not info.flags & FST:
        return True
    there = [header[at:at + 16] for at in range(8, len(header) - 15, 16)]
    if len(info.addresses) > len(there):
        return False
    if not info.flags & FST_NSTRICT:
        return tuple(there) == info.addresses
    wanted = list(info.addresses)
    for address in there:
        if wanted and address == wanted[0]:
            del wanted[0]
    return not wanted


def render(info: Rt, family: int) -> str:
    parts = []
    for flag, text in ((TYP, f"--rt-type {info.type}"), (SGS, f"--rt-segsleft {port_range(*info.segsleft)}"),
                       (LEN, f"--rt-len {info.length}")):
        if info.flags & flag:
            parts.append(bang(info.invflags & flag) + text)
    if info.flags & RES:
        parts.append("--rt-0-res")
    if info.flags & FST:
        parts.append("--rt-0-addrs " + ",".join(map(format_address, info.addresses)))
    if info.flags & FST_NSTRICT:
        parts.append("--rt-0-not-strict")
    return " ".join(parts)
