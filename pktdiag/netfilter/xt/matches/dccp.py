"""dccp: ports, packet type, options. net/netfilter/xt_dccp.c: dccp_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range

SRC_PORTS, DEST_PORTS, TYPE, OPTION = 1, 2, 4, 8
TYPES = ("REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID")


class Dccp(NamedTuple):
    """struct xt_dccp_info."""

    dpts: tuple[int, int]
    spts: tuple[int, int]
    flags: int
    invflags: int
    types: int
    option: int


def decode(rev: int, data: bytes, family: int) -> Dccp:
    if rev != 0:
        raise UnknownRevisionError
    d0, d1, s0, s1, flags, inv, types, option = unpack_from("=7HB", data)
    return Dccp((d0, d1), (s0, s1), flags, inv, types, option)


def evaluate(info: Dccp, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    for flag, port, (low, high) in ((SRC_PORTS, packet.sport, info.spts), (DEST_PORTS, packet.dport, info.dpts)):
        if info.flags & flag and (low <= port <= high) == bool(info.invflags & flag):
            return False
    flags = info.flags
    if flags & TYPE and len(packet.payload) >= 5 and "payload" not in packet.unknown:
        if bool(info.types >> (packet.payload[4] >> 1 & 15) & 1) == bool(info.invflags & TYPE):  # the payload begins behind the ports
            return False
        flags &= ~TYPE
    if flags & (TYPE | OPTION):
        return Unknown(f"the DCCP header has {render(info._replace(flags=flags & (TYPE | OPTION)), ctx.pf)}")
    return True


def render(info: Dccp, family: int) -> str:
    parts = []
    names = ",".join(name for bit, name in enumerate(TYPES) if info.types >> bit & 1)
    for flag, text in ((SRC_PORTS, f"--sport {port_range(*info.spts)}"), (DEST_PORTS, f"--dport {port_range(*info.dpts)}"),
                       (TYPE, f"--dccp-types {names}"), (OPTION, f"--dccp-option {info.option}")):
        if info.flags & flag:
            parts.append(bang(info.invflags & flag) + text)
    return " ".join(parts)
