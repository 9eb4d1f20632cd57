"""The packet's bytes from its network header on, as far as they are known: for the matches that read raw bytes (u32, bpf, string)."""

from __future__ import annotations

from struct import pack

from pktdiag.model.kernel import IPPROTO_FRAGMENT, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple


class Wire(NamedTuple):
    """``known`` has a 1 for every bit of ``data`` that is certain; ``length`` may exceed both (payload not known)."""

    data: bytes
    known: bytes
    length: int

    def load(self, offset: int, size: int) -> tuple[int, int] | None:
        """(value, known mask) of a big-endian field; None beyond the packet."""
        if offset < 0 or offset + size > self.length:
            return None
        value = int.from_bytes(self.data[offset:offset + size].ljust(size, b"\0"), "big")
        known = int.from_bytes(self.known[offset:offset + size].ljust(size, b"\0"), "big")
        return value & known, known


def wire_of(packet: Packet) -> Wire:
    """What ``packet`` will look like."""
    data, known = _ip(packet)
    if packet.ip_options or packet.ext_headers or packet.fragment_offset or packet.more_fragments:
        data, known = _with_headers(packet, data, known)
    if not packet.fragment_offset:
        more, more_known = _transport(packet)
        data, known = data + more, known + more_known
    if packet.payload and "payload" not in packet.unknown:
        data, known = data + packet.payload, known + b"\xff" * len(packet.payload)
    return Wire(data[:packet.length], known[:packet.length], packet.length)


def _with_headers(packet: Packet, data: bytes, known: bytes) -> tuple[bytes, bytes]:
    """IPv4 options; IPv6 extension headers, and the IPv6 header's next one."""
    if len(packet.dst) == 4:
        options = packet.ip_options
        data = bytes((0x45 + len(options) // 4,)) + data[1:] + options
        if "ip_option_data" not in packet.unknown:
            return data, known + b"\xff" * len(options)
        from pktdiag.model.ipopt import unknown_bytes

        return data, known + bytes(bits ^ 0xFF for bits in unknown_bytes(options))
    from pktdiag.model.exthdr import headers

    chain = headers(packet)
    data = data[:6] + bytes((chain[0].number,)) + data[7:]
    for header in chain:
        implied = header.number == IPPROTO_FRAGMENT and not any(number == IPPROTO_FRAGMENT for number, _ in packet.ext_headers)
        data += header.data
        known += b"\xff\xff\xff\xff\0\0\0\0" if implied else b"\xff" * len(header.data)
    return data, known


def _sure(packet: Packet, field: str, size: int) -> bytes:
    return (b"\0" if field in packet.unknown else b"\xff") * size


def _ip(packet: Packet) -> tuple[bytes, bytes]:
    if len(packet.dst) == 4:
        flags = (0x4000 if packet.df else 0) | (0x2000 if packet.more_fragments else 0) | packet.fragment_offset >> 3
        data = pack(">BBHHHBBH", 0x45, packet.tos, packet.length & 0xFFFF, 0, flags, packet.ttl, packet.proto, 0)
        known = b"\xff" * 4 + b"\0\0" + b"\xff" * 4 + b"\0\0" + b"\xff" * 8
    else:
        data = pack(">IHBB", 6 << 28 | packet.tos << 20, max(packet.length - 40, 0) & 0xFFFF, packet.proto, packet.ttl)
        known = b"\xff\xf0" + _sure(packet, "flow_label", 2) + b"\xff" * 36
        if "flow_label" not in packet.unknown:
            known = b"\xff" * 40
    return data + packet.src + packet.dst, known


def _transport(packet: Packet) -> tuple[bytes, bytes]:
    head = packet.header_length
    if packet.proto == IPPROTO_TCP:
        options = packet.tcp_options.ljust(-(-len(packet.tcp_options) // 4) * 4, b"\0")
        data = pack(">HHIIBBHHH", packet.sport, packet.dport, 0, 0, (5 + len(options) // 4 & 15) << 4, packet.tcp_flags & 0xFF, 0, 0, 0)
        size_known = b"\0" if "tcp_options" in packet.unknown else b"\xff"
        known = b"\xff" * 4 + b"\0" * 8 + size_known + b"\xff" + b"\0" * 6
        return data + options, known + _sure(packet, "tcp_options", len(options))
    if packet.proto == IPPROTO_UDP and packet.more_fragments:  # its length is the whole datagram's
        return pack(">HHHH", packet.sport, packet.dport, 0, 0), b"\xff" * 4 + b"\0" * 4
    if packet.proto == IPPROTO_UDP:
        return (pack(">HHHH", packet.sport, packet.dport, max(packet.length - head, 0) & 0xFFFF, 0), b"\xff" * 6 + b"\0\0")
    if packet.proto == IPPROTO_UDPLITE:  # in the place of a length it has its checksum's coverage
        return pack(">HHHH", packet.sport, packet.dport, 0, 0), b"\xff" * 4 + b"\0" * 4
    if packet.proto in (IPPROTO_ICMP, IPPROTO_ICMPV6) and packet.inner is None:
        return pack(">BBHHH", packet.icmp_type, packet.icmp_code, 0, packet.icmp_id & 0xFFFF, 0), b"\xff\xff\0\0\xff\xff\0\0"
    if packet.has_ports:
        return pack(">HH", packet.sport, packet.dport), b"\xff" * 4
    return b"", b""
