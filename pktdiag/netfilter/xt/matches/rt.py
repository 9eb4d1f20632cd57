"""rt: the routing header. net/ipv6/netfilter/ip6t_rt.c: rt_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range
from pktdiag.netfilter.xt.matches.ext6 import absent as evaluate

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
