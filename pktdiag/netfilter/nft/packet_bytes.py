"""The packet as bytes, for expressions that load raw header bytes, and back again for those that change them.

Bytes that nobody can know before the packet exists (``Packet.unknown``, checksums, options of unmodelled protocols) are
marked bit by bit, so that ``tcp flags`` of a segment with an unknown sequence number is still known.
"""

from __future__ import annotations

from struct import pack

from pktdiag.model.kernel import (
    ETH_P_IP,
    ETH_P_IPV6,
    IPPROTO_FRAGMENT,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    PORT_PROTOS,
    TCP_ACK,
)
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Skb

LL_HEADER, NETWORK_HEADER, TRANSPORT_HEADER, INNER_HEADER = range(4)
_ECHO_LIKE = {IPPROTO_ICMP: frozenset((0, 8, 13, 14, 15, 16, 17, 18)), IPPROTO_ICMPV6: frozenset((128, 129))}


class Image(NamedTuple):
    """One packet from its network header on."""

    data: bytes
    unknown: bytes
    """1 for every unknown bit of ``data``; same length."""
    thoff: int
    """Where the transport header starts."""
    tprot: int
    fragoff: int
    length: int
    """Bytes the packet really has; ``data`` may hold fewer, everything beyond it is unknown."""
    has_l4: bool = True
    """IPv6: whether ipv6_find_hdr() finds a protocol (nft_set_pktinfo_ipv6)."""
    behind: int = 0
    """Where what ``packet.proto`` names begins, if not at ``thoff``: behind an authentication header, at which nftables stops."""


_last: tuple[Packet | None, Image | None] = (None, None)


def image(packet: Packet) -> Image:
    """The bytes of a packet; the most recent one is remembered, since rules read the same packet over and over."""
    global _last
    if _last[0] is packet and _last[1] is not None:
        return _last[1]
    made = _ipv4(packet) if len(packet.dst) == 4 else _ipv6(packet)
    _last = (packet, made)
    return made


def _ipv4(packet: Packet) -> Image:
    unknown = packet.unknown
    fragment = packet.fragment_offset // 8 & 0x1FFF
    flags = (0x4000 if packet.df else 0) | (0x2000 if packet.more_fragments else 0) | fragment
    options = packet.ip_options
    size = 20 + len(options)
    header = pack(">BBHHHBBH", 0x40 | size >> 2, packet.tos, packet.length & 0xFFFF, 0, flags, packet.ttl, packet.proto, 0)
    mask = bytearray(20)
    mask[4:6] = b"\xff\xff" if "ip_id" in unknown or not packet.df else b"\0\0"
    mask[10:12] = b"\xff\xff"
    for name, at, wide in (("ttl", 8, 1), ("tos", 1, 1), ("length", 2, 2), ("src", 12, 4), ("dst", 16, 4)):
        if name in unknown:
            mask[at : at + wide] = b"\xff" * wide
    data = header + packet.src.rjust(4, b"\0")[:4] + packet.dst
    if options:
        from pktdiag.model.ipopt import unknown_bytes

        data += options
        mask += unknown_bytes(options) if "ip_option_data" in unknown else bytes(len(options))
    body, body_mask = _transport(packet, packet.length - size)
    return Image(data + body, bytes(mask) + body_mask, size, packet.proto, fragment, max(packet.length, size))


def _ipv6(packet: Packet) -> Image:
    if packet.ext_headers or packet.fragment_offset or packet.more_fragments:
        return _extended(packet)
    data, mask = _fixed(packet, packet.proto)
    body, body_mask = _transport(packet, packet.length - 40)
    return Image(data + body, bytes(mask) + body_mask, 40, packet.proto, 0, max(packet.length, 40))


def _fixed(packet: Packet, following: int) -> tuple[bytes, bytearray]:
    """The IPv6 header alone."""
    unknown = packet.unknown
    header = pack(">IHBB", 6 << 28 | packet.tos << 20, max(packet.length - 40, 0) & 0xFFFF, following, packet.ttl)
    mask = bytearray(40)
    if "flow_label" in unknown:
        mask[1:4] = b"\x0f\xff\xff"
    for name, at, size in (("ttl", 7, 1), ("length", 4, 2), ("src", 8, 16), ("dst", 24, 16)):
        if name in unknown:
            mask[at : at + size] = b"\xff" * size
    return header + packet.src.rjust(16, b"\0")[:16] + packet.dst, mask


def _extended(packet: Packet) -> Image:
    """With extension headers: what nftables takes for the protocol may be one of them (nf_tables_ipv6.h: nft_set_pktinfo_ipv6)."""
    from pktdiag.model import exthdr

    headers = exthdr.headers(packet)
    data, mask = _fixed(packet, headers[0].number)
    implied = not any(number == IPPROTO_FRAGMENT for number, _ in packet.ext_headers)
    for header in headers:
        data += header.data
        mask += b"\0\0\0\0\xff\xff\xff\xff" if implied and header.number == IPPROTO_FRAGMENT else bytes(len(header.data))
    behind = len(data)
    body, body_mask = _transport(packet, packet.length - behind)
    last = exthdr.last(packet, True)
    thoff, proto = (behind, packet.proto) if last is None or last.fragment else (last.offset, last.number)
    return Image(data + body, bytes(mask) + body_mask, thoff, proto, packet.fragment_offset // 8, max(packet.length, behind),
                 last is not None, behind)


def _transport(packet: Packet, room: int) -> tuple[bytes, bytes]:
    """Transport header and as much payload as is known, at most ``room`` bytes, with its unknown bits."""
    if room <= 0:
        return b"", b""
    proto, unknown = packet.proto, packet.unknown
    if packet.fragment_offset:
        header, mask = b"", bytearray()
    elif proto == IPPROTO_TCP:
        header, mask = _tcp(packet)
    elif proto in (IPPROTO_UDP, IPPROTO_UDPLITE):
        header = pack(">HHHH", packet.sport, packet.dport, room & 0xFFFF, 0)
        sure = proto == IPPROTO_UDP and not packet.more_fragments  # UDP-Lite has its coverage there, a fragment the datagram's length
        mask = bytearray(b"\0\0\0\0\0\0\xff\xff" if sure else b"\0\0\0\0\xff\xff\xff\xff")
    elif proto in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        header, mask = _icmp(packet)
    elif proto in PORT_PROTOS:  # their payload begins behind the ports
        known = bool(packet.payload)
        header = pack(">HH", packet.sport, packet.dport) + bytes(0 if known else 8)
        mask = bytearray(b"\0" * 4 + b"\xff" * (0 if known else 8))
    else:
        header, mask = b"", bytearray()
    if proto in PORT_PROTOS and header:
        if "sport" in unknown:
            mask[0:2] = b"\xff\xff"
        if "dport" in unknown:
            mask[2:4] = b"\xff\xff"
    body = header + packet.payload
    bits = bytes(mask) + bytes(len(packet.payload))
    if len(body) < room and "payload" not in unknown and len(header):
        body += bytes(room - len(body))
        bits += bytes(room - len(bits))
    return body[:room], bits[:room]


def _tcp(packet: Packet) -> tuple[bytes, bytearray]:
    options = packet.tcp_options + bytes(-len(packet.tcp_options) % 4)
    doff = 5 + len(options) // 4
    flags = packet.tcp_flags
    header = pack(">HHIIBBHHH", packet.sport, packet.dport, 0, 0, doff << 4, flags & 0xFF, 0, 0, 0)
    mask = bytearray(20)
    for name, at, size in (("tcp_seq", 4, 4), ("tcp_ack", 8, 4), ("tcp_window", 14, 2), ("tcp_flags", 13, 1)):
        if name in packet.unknown and (name != "tcp_ack" or flags & TCP_ACK):
            mask[at : at + size] = b"\xff" * size
    mask[16:18] = b"\xff\xff"
    if "tcp_options" in packet.unknown:
        mask[12] = 0xF0
    return header + options, mask + bytes(len(options))


def _icmp(packet: Packet) -> tuple[bytes, bytearray]:
    header = pack(">BBHHH", packet.icmp_type, packet.icmp_code, 0, packet.icmp_id & 0xFFFF, 0)
    mask = bytearray(b"\0\0\xff\xff\0\0\xff\xff")
    if packet.icmp_type not in _ECHO_LIKE[packet.proto]:
        mask[4:8] = b"\xff\xff\xff\xff"
    if packet.inner is not None:
        quoted = image(packet.inner)
        return header + quoted.data, mask + quoted.unknown
    return header, mask


def link_header(skb: Skb, adjust_vlan: bool) -> tuple[bytes, bytes] | None:
    """The Ethernet header a tap or a rule sees; None when there is none (locally generated, no link layer).

    ``adjust_vlan``: put an offloaded VLAN tag back in (net/netfilter/nft_payload.c: nft_payload_copy_vlan).
    """
    if len(skb.dst_mac) != 6 or len(skb.src_mac) != 6:
        return None
    data = skb.dst_mac + skb.src_mac
    if skb.vlan_tci is not None and adjust_vlan:
        data += pack(">HH", skb.vlan_proto, skb.vlan_tci)
    data += pack(">H", skb.ethertype)
    return data, bytes(len(data))


def slice_of(data: bytes, unknown: bytes, total: int, offset: int, length: int) -> tuple[bytes, bytes | None] | None:
    """``length`` bytes at ``offset`` of a packet of ``total`` bytes, unknown where ``data`` ends early.

    None when the packet is too short for it: skb_copy_bits() fails and the rule does not match.
    """
    end = offset + length
    if offset < 0 or end > total:
        return None
    value = data[offset:end]
    bits = unknown[offset:end]
    missing = length - len(value)
    if missing:
        value += bytes(missing)
        bits += b"\xff" * missing
    return value, bits if any(bits) else None


def protocol_of(skb: Skb) -> int:
    """skb->protocol as far as IP is concerned: ETH_P_IP, ETH_P_IPV6 or whatever else the frame carries."""
    return skb.ethertype if skb.ethertype else (ETH_P_IP if len(skb.packet.dst) == 4 else ETH_P_IPV6)
