"""Frames made by hand, and the packet pktdiag is asked about for each."""

from __future__ import annotations

from struct import pack

from pktdiag.model.packet import Packet, parse_address

SYN_OPTIONS = b"\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\1\0\0\0\0\1\3\3\7"


def checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at:at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(packet: Packet, size: int) -> bytes:
    if len(packet.dst) == 4:
        return packet.src + packet.dst + pack(">BBH", 0, packet.proto, size)
    return packet.src + packet.dst + pack(">IHBB", size, 0, 0, packet.proto)


def _transport(packet: Packet) -> bytes:
    if packet.proto == 6:
        options = packet.tcp_options
        raw = pack(">HHIIBBHHH", packet.sport, packet.dport, 1000, 0, (5 + len(options) // 4) << 4, packet.tcp_flags, 64240, 0, 0) + options
        raw += packet.payload
        return raw[:16] + pack(">H", checksum(_pseudo(packet, len(raw)) + raw)) + raw[18:]
    if packet.proto == 17:
        raw = pack(">HHHH", packet.sport, packet.dport, 8 + len(packet.payload), 0) + packet.payload
        return raw[:6] + pack(">H", checksum(_pseudo(packet, len(raw)) + raw)) + raw[8:]
    if packet.proto in (1, 58):
        raw = pack(">BBHHH", packet.icmp_type, packet.icmp_code, 0, packet.icmp_id, 1) + packet.payload
        return raw[:2] + pack(">H", checksum((_pseudo(packet, len(raw)) if packet.proto == 58 else b"") + raw)) + raw[4:]
    return pack(">HH", packet.sport, packet.dport) + packet.payload


def ip(packet: Packet) -> bytes:
    body = _transport(packet)
    if len(packet.dst) == 4:
        flags = (0x4000 if packet.df else 0) | (0x2000 if packet.more_fragments else 0) | packet.fragment_offset >> 3
        head = pack(">BBHHHBBH", 0x45, packet.tos, 20 + len(body), 77, flags, packet.ttl, packet.proto, 0) + packet.src + packet.dst
        return head[:10] + pack(">H", checksum(head)) + head[12:] + body
    return pack(">IHBB", 6 << 28 | packet.tos << 20, len(body), packet.proto, packet.ttl) + packet.src + packet.dst + body


def packet(src: str, dst: str, proto: int, **fields: object) -> Packet:
    """A packet whose bytes are ``ip(packet)``: its length follows from its content."""
    made = Packet(parse_address(src), parse_address(dst), proto)._replace(**fields)  # type: ignore[arg-type]
    return made._replace(length=len(ip(made)))
