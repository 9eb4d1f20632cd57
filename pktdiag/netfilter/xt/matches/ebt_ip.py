"""ebtables ip: addresses, protocol, ports, ICMP and IGMP types of a bridged IPv4 packet. net/bridge/netfilter/ebt_ip.c: ebt_ip_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_FRAGMENT, IPPROTO_NONE
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang, mask_suffix, masked, port_range
from pktdiag.netfilter.xt.icmp_names import icmp_text
from pktdiag.netfilter.xt.matches.ext6 import found
from pktdiag.netfilter.xt.render import protocol_name

SOURCE, DEST, TOS, PROTO, SPORT, DPORT, ICMP, IGMP = (1 << bit for bit in range(8))


class EbtIp(NamedTuple):
    """struct ebt_ip_info / ebt_ip6_info; ``first`` and ``second`` are the two unions, as byte pairs and as port pairs."""

    src: tuple[bytes, bytes]
    dst: tuple[bytes, bytes]
    tos: int
    proto: int
    bitmask: int
    invflags: int
    sport: tuple[int, int]
    dport: tuple[int, int]
    types: tuple[int, int]
    codes: tuple[int, int]


def decode(rev: int, data: bytes, family: int) -> EbtIp:
    return decode_as(data, 4)


def decode_as(data: bytes, width: int) -> EbtIp:
    saddr, daddr, smsk, dmsk, tos, proto, bitmask, invflags = unpack_from(f"={width}s{width}s{width}s{width}sBBBB", data)
    at = 4 * width + 4
    s0, s1, d0, d1 = unpack_from("=4H", data, at)
    return EbtIp((saddr, smsk), (daddr, dmsk), tos, proto, bitmask, invflags, (s0, s1), (d0, d1), (data[at], data[at + 1]),
                 (data[at + 4], data[at + 5]))


def evaluate(info: EbtIp, ctx: HookContext) -> Tri:
    packet, bits, inv = ctx.skb.packet, info.bitmask, info.invflags
    if len(packet.dst) != len(info.dst[0]):
        return False
    if bits & TOS and (packet.tos == info.tos) == bool(inv & TOS):
        return False
    for flag, address, (wanted, mask) in ((SOURCE, packet.src, info.src), (DEST, packet.dst, info.dst)):
        if bits & flag and (masked(address, mask) == int.from_bytes(wanted, "big")) == bool(inv & flag):
            return False
    if not bits & PROTO:
        return True
    proto, sport, dport, type_, code = packet.proto, packet.sport, packet.dport, packet.icmp_type, packet.icmp_code
    if len(packet.dst) == 16:
        # ipv6_skip_exthdr(): a later fragment's protocol is its fragment header, and there the ports are read, too
        if packet.fragment_offset:
            header = found(packet, IPPROTO_FRAGMENT) or bytes(8)
            proto, sport, dport = IPPROTO_FRAGMENT, int.from_bytes(header[:2], "big"), int.from_bytes(header[2:4], "big")
            type_, code = header[0], header[1]
        elif proto == IPPROTO_NONE:
            return False
    if (proto == info.proto) == bool(inv & PROTO):
        return False
    if not bits & (SPORT | DPORT | ICMP | IGMP):
        return True
    if packet.fragment_offset and len(packet.dst) == 4:
        return False
    for flag, port, (low, high) in ((DPORT, dport, info.dport), (SPORT, sport, info.sport)):
        if bits & flag and (low <= port <= high) == bool(inv & flag):
            return False
    if bits & ICMP:
        fits = info.types[0] <= type_ <= info.types[1] and info.codes[0] <= code <= info.codes[1]
        if fits == bool(inv & ICMP):
            return False
    return not bits & IGMP or (info.types[0] <= packet.icmp_type <= info.types[1]) != bool(inv & IGMP)


def render_as(info: EbtIp, prefix: str, tos: str, icmp: str) -> str:
    bits, inv = info.bitmask, info.invflags
    v6 = prefix == "ip6"
    parts = []
    for flag, text in ((SOURCE, f"src {{}}{format_address(info.src[0])}{mask_suffix(info.src[1])}"),
                       (DEST, f"dst {{}}{format_address(info.dst[0])}{mask_suffix(info.dst[1])}"),
                       (TOS, f"{tos} {{}}{info.tos:#04x}"), (PROTO, f"proto {{}}{protocol_name(info.proto)}"),
                       (SPORT, f"sport {{}}{port_range(*info.sport)}"), (DPORT, f"dport {{}}{port_range(*info.dport)}"),
                       (ICMP, f"{icmp} {{}}{icmp_text(info.types, info.codes, v6)}"),
                       (IGMP, f"igmp-type {{}}{port_range(*info.types)}")):
        if bits & flag:
            parts.append(f"--{prefix}-" + text.format(bang(inv & flag)))
    return " ".join(parts)


def render(info: EbtIp, family: int) -> str:
    return render_as(info, "ip", "tos", "icmp-type")
