"""ah: the authentication header. net/ipv4/netfilter/ipt_ah.c: ah_mt; net/ipv6/netfilter/ip6t_ah.c: ah_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET6, IPPROTO_AH
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range
from pktdiag.netfilter.xt.matches.ext6 import found


class Ah(NamedTuple):
    """struct ipt_ah / ip6t_ah."""

    low: int
    high: int
    length: int
    """IPv6: header length in bytes, 0 for any."""
    reserved: bool
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Ah:
    if rev != 0:
        raise UnknownRevisionError
    if family == AF_INET6:
        low, high, length, reserved, inv = unpack_from("=IIIBB", data)
        return Ah(low, high, length, bool(reserved), inv)
    low, high, inv = unpack_from("=IIB", data)
    return Ah(low, high, 0, False, inv)


def evaluate(info: Ah, ctx: HookContext) -> Tri:
    """IPv4: the packet's protocol. IPv6 looks for the header itself, wherever it stands."""
    packet = ctx.skb.packet
    header = found(packet, IPPROTO_AH) if packet.ext_headers else None
    if header is None and (packet.proto != IPPROTO_AH or packet.fragment_offset):
        return False
    if header is None and len(packet.payload) >= 12 and "payload" not in packet.unknown:
        header = packet.payload
    if header is not None:
        if info.reserved and any(header[2:4]):
            return False
        if info.length and (info.length == (header[1] + 2) * 4) == bool(info.invflags & 2):
            return False
        return (info.low <= int.from_bytes(header[4:8], "big") <= info.high) != bool(info.invflags & 1)
    if (info.low, info.high) == (0, 0xFFFFFFFF) and not info.length and not info.reserved:
        return not info.invflags & 1
    return Unknown(f"the packet's authentication header has {render(info, ctx.pf)}")


def render(info: Ah, family: int) -> str:
    parts = []
    if (info.low, info.high) != (0, 0xFFFFFFFF):
        parts.append(f"{bang(info.invflags & 1)}--ahspi {port_range(info.low, info.high)}")
    if info.length or info.invflags & 2:
        parts.append(f"{bang(info.invflags & 2)}--ahlen {info.length}")
    if info.reserved:
        parts.append("--ahres")
    return " ".join(parts)
