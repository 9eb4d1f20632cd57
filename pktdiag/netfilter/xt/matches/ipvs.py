"""ipvs: the IPVS connection a packet belongs to. net/netfilter/xt_ipvs.c: ipvs_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, be16, inet, mask_suffix
from pktdiag.netfilter.xt.render import protocol_name

PROPERTY, PROTO, VADDR, VPORT, DIR, METHOD, VPORTCTL = (1 << bit for bit in range(7))
METHODS = {0: "MASQ", 2: "IPIP", 3: "GATE"}


class Ipvs(NamedTuple):
    """struct xt_ipvs_mtinfo."""

    vaddr: bytes
    vmask: bytes
    vport: int
    proto: int
    method: int
    vportctl: int
    invert: int
    bitmask: int


def decode(rev: int, data: bytes, family: int) -> Ipvs:
    if rev != 0:
        raise UnknownRevisionError
    proto, method = unpack_from("=BB", data, 34)
    invert, bitmask = unpack_from("=BB", data, 38)
    return Ipvs(inet(data, 0, family), inet(data, 16, family), be16(data, 32), proto, method, be16(data, 36), invert, bitmask)


def evaluate(info: Ipvs, ctx: HookContext) -> Tri:
    return Unknown(f"the packet's IPVS connection satisfies {render(info, ctx.pf)}")


def render(info: Ipvs, family: int) -> str:
    if info.bitmask == PROPERTY:
        return f"{bang(info.invert & PROPERTY)}--ipvs"
    parts = []
    for flag, text in ((PROTO, f"--vproto {protocol_name(info.proto)}"),
                       (VADDR, f"--vaddr {format_address(info.vaddr)}{mask_suffix(info.vmask)}"), (VPORT, f"--vport {info.vport}"),
                       (METHOD, f"--vmethod {METHODS.get(info.method, info.method)}"),
                       (VPORTCTL, f"--vportctl {info.vportctl}")):
        if info.bitmask & flag:
            parts.append(bang(info.invert & flag) + text)
    if info.bitmask & DIR:
        parts.insert(3 if info.bitmask & METHOD else len(parts), f"--vdir {'REPLY' if info.invert & DIR else 'ORIGINAL'}")
    return " ".join(parts)
