"""Header bytes changed by a rule (``ip ttl set 5``, ``tcp dport set 80``) parsed back into the packet.

net/netfilter/nft_payload.c: nft_payload_set_eval. Checksums are unknown to us and stay so.
"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, PORT_PROTOS
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import Skb
from pktdiag.netfilter.nft.packet_bytes import Image, image


def write_link(skb: Skb, offset: int, value: bytes) -> None:
    """Changes the Ethernet header."""
    header = bytearray(skb.dst_mac + skb.src_mac + skb.ethertype.to_bytes(2, "big"))
    header[offset : offset + len(value)] = value[: max(0, 14 - offset)]
    skb.dst_mac, skb.src_mac = bytes(header[0:6]), bytes(header[6:12])
    skb.ethertype = int.from_bytes(header[12:14], "big")


def write(packet: Packet, offset: int, value: bytes, unknown: bytes | None) -> Packet:
    """The packet with ``value`` written ``offset`` bytes behind its network header."""
    before = image(packet)
    data = bytearray(before.data)
    bits = bytearray(before.unknown)
    if offset + len(value) > len(data):
        grow = min(offset + len(value), before.length) - len(data)
        data += bytes(max(grow, 0))
        bits += b"\xff" * max(grow, 0)
    room = len(data) - offset
    data[offset : offset + len(value)] = value[:room]
    bits[offset : offset + len(value)] = (unknown or bytes(len(value)))[:room]
    return _parse(packet, before, bytes(data), bytes(bits))


def _headers(packet: Packet, data: bytes) -> tuple[tuple[int, bytes], ...]:
    """The extension headers as they now are, in their old lengths."""
    found, at = [], 40
    for number, header in packet.ext_headers:
        found.append((number, data[at : at + len(header)]))
        at += len(header)
    return tuple(found)


def _parse(packet: Packet, before: Image, data: bytes, bits: bytes) -> Packet:
    names = set(packet.unknown)

    def number(at: int, size: int, name: str, old: int) -> int:
        if any(bits[at : at + size]):
            if data[at : at + size] != before.data[at : at + size] or not any(before.unknown[at : at + size]):
                names.add(name)
            return old
        names.discard(name)
        return int.from_bytes(data[at : at + size], "big")

    changed: dict[str, object] = {}
    if len(packet.dst) == 4:
        changed["tos"] = number(1, 1, "tos", packet.tos)
        changed["ttl"] = number(8, 1, "ttl", packet.ttl)
        changed["src"], changed["dst"] = data[12:16], data[16:20]
        changed["df"] = bool(data[6] & 0x40)
        number(4, 2, "ip_id", 0)
        if data[9] != before.data[9]:
            changed["proto"] = data[9]
        if packet.ip_options:
            changed["ip_options"] = data[20 : 20 + len(packet.ip_options)]
    else:
        changed["tos"] = (data[0] << 4 | data[1] >> 4) & 0xFF
        changed["ttl"] = number(7, 1, "ttl", packet.ttl)
        changed["src"], changed["dst"] = data[8:24], data[24:40]
        if data[1:4] != before.data[1:4] and (data[1] & 0x0F or data[2] or data[3]):
            names.add("flow_label")  # the packet has no field for one that is set
        if packet.ext_headers:
            changed["ext_headers"] = _headers(packet, data)
    at = before.behind or before.thoff
    if not before.fragoff:
        if packet.proto in PORT_PROTOS and len(data) >= at + 4:
            changed["sport"] = number(at, 2, "sport", packet.sport)
            changed["dport"] = number(at + 2, 2, "dport", packet.dport)
        if packet.proto == IPPROTO_TCP and len(data) >= at + 20:
            changed["tcp_flags"] = data[at + 13]
            doff = (data[at + 12] >> 4) * 4
            changed["tcp_options"] = data[at + 20 : at + max(doff, 20)]
        if packet.proto in (IPPROTO_ICMP, IPPROTO_ICMPV6) and len(data) >= at + 8:
            changed["icmp_type"], changed["icmp_code"] = data[at], data[at + 1]
            changed["icmp_id"] = number(at + 4, 2, "icmp_id", packet.icmp_id)
    changed["unknown"] = frozenset(names)
    return packet._replace(**changed)  # type: ignore[arg-type]
