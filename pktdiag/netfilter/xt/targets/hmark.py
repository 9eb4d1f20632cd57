"""HMARK: a mark from a hash of addresses and ports. net/netfilter/xt_HMARK.c: hmark_tg_v4, hmark_tg_v6, hmark_hash."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_AH, IPPROTO_FRAGMENT, IPPROTO_ICMP
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.jhash import jhash2, reciprocal_scale
from pktdiag.netfilter.xt.base import UnknownRevisionError, be16, inet, mask_length

(SADDR_MASK, DADDR_MASK, SPI, SPI_MASK, SPORT, DPORT, SPORT_MASK, DPORT_MASK, PROTO_MASK, RND, MODULUS, OFFSET, CT, METHOD_L3,
 METHOD_L3_4) = (1 << bit for bit in range(15))


class Hmark(NamedTuple):
    """struct xt_hmark_info; ports in host order as (source, destination)."""

    src_mask: bytes
    dst_mask: bytes
    port_mask: tuple[int, int]
    port_set: tuple[int, int]
    flags: int
    proto_mask: int
    rnd: int
    modulus: int
    offset: int


def decode(rev: int, data: bytes, family: int) -> Hmark:
    if rev != 0:
        raise UnknownRevisionError
    flags, proto_mask, rnd, modulus, offset = unpack_from("=IH2xIII", data, 40)
    return Hmark(inet(data, 0, family), inet(data, 16, family), (be16(data, 32), be16(data, 34)), (be16(data, 36), be16(data, 38)),
                 flags, proto_mask, rnd, modulus, offset)


def _masked(address: bytes, mask: bytes) -> bytes:
    return bytes(a & b for a, b in zip(address, mask))


def hmark(info: Hmark, ctx: HookContext) -> int | None:
    """None: the packet keeps its mark (no connection where one is asked for). An ICMP error counts as what it quotes."""
    packet, ct = ctx.skb.packet, ctx.skb.ct
    if info.flags & CT:
        if ct is None:
            return None
        src, dst, proto = ct.orig.src, ct.reply.src, ct.orig.proto
        sport, dport = ct.orig.sport, ct.reply.sport
        has_ports = proto != IPPROTO_ICMP
    else:
        inner = packet.inner if packet.inner is not None else packet
        src, dst, proto, sport, dport = inner.src, inner.dst, inner.proto, inner.sport, inner.dport
        has_ports = inner.has_ports and not inner.fragment_offset and not inner.more_fragments
        if inner.ext_headers:
            has_ports, proto, sport, dport = _behind_headers(inner, has_ports)
    left, right = sorted((_folded(src, info.src_mask), _folded(dst, info.dst_mask)))
    ports = 0
    if info.flags & METHOD_L3:
        proto = 0
    elif has_ports:
        first, second = sport & info.port_mask[0] | info.port_set[0], dport & info.port_mask[1] | info.port_set[1]
        ports = max(first, second) << 16 | min(first, second)
    value = jhash2((left, right, ports), info.rnd) ^ proto & info.proto_mask
    return reciprocal_scale(value, info.modulus) + info.offset & 0xFFFFFFFF


def _behind_headers(packet: Packet, has_ports: bool) -> tuple[bool, int, int, int]:
    """hmark_get_tuple_skb_ipv6(): an authentication header is the protocol, and its SPI the ports (proto_ports_offset); with any fragment
    header there are none."""
    from pktdiag.model.exthdr import chain

    links = chain(packet)
    numbers = [number for number, _ in links]
    if IPPROTO_AH in numbers:
        header = links[numbers.index(IPPROTO_AH)][1]
        fragment = IPPROTO_FRAGMENT in numbers[:numbers.index(IPPROTO_AH)]
        return not fragment, IPPROTO_AH, int.from_bytes(header[4:6], "big"), int.from_bytes(header[6:8], "big")
    return has_ports and IPPROTO_FRAGMENT not in numbers, packet.proto, packet.sport, packet.dport


def _folded(address: bytes, mask: bytes) -> int:
    """hmark_addr_mask: the masked address, IPv6 folded to one word, in host order."""
    value = 0
    for at in range(0, len(address), 4):
        value ^= int.from_bytes(address[at:at + 4], "big") & int.from_bytes(mask[at:at + 4], "big")
    return value


def evaluate(info: Hmark, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    value = hmark(info, ctx)
    if value is not None:
        ctx.skb.mark = value
    return None


def render(info: Hmark, family: int) -> str:
    flags, parts = info.flags, []
    for flag, name, mask in ((SADDR_MASK, "src", info.src_mask), (DADDR_MASK, "dst", info.dst_mask)):
        if flags & flag:
            length = mask_length(mask)
            parts.append(f"--hmark-{name}-prefix {format_address(mask) if length is None else length}")
    if flags & SPI:
        parts.append(f"--hmark-spi {info.port_set[0] << 16 | info.port_set[1]:#010x}")
    if flags & SPI_MASK:
        parts.append(f"--hmark-spi-mask {info.port_mask[0] << 16 | info.port_mask[1]:#010x}")
    for flag, option, value in ((SPORT_MASK, "sport-mask", info.port_mask[0]), (DPORT_MASK, "dport-mask", info.port_mask[1]),
                                (SPORT, "sport", info.port_set[0]), (DPORT, "dport", info.port_set[1])):
        if flags & flag:
            parts.append(f"--hmark-{option} {value:#06x}")
    if flags & PROTO_MASK:
        parts.append(f"--hmark-proto-mask {info.proto_mask:#04x}")
    if flags & RND:
        parts.append(f"--hmark-rnd {info.rnd:#010x}")
    if flags & MODULUS:
        parts.append(f"--hmark-mod {info.modulus}")
    if flags & OFFSET:
        parts.append(f"--hmark-offset {info.offset}")
    if flags & CT:
        parts.append("--hmark-tuple ct")
    return " ".join(parts)
