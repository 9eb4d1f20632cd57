"""Transport headers of protocols beside TCP, UDP and ICMP, as their senders make them: for rules that look into them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

IGMP, DCCP, ESP, AH, COMP, SCTP, MOBILITY, UDPLITE = 2, 33, 50, 51, 108, 132, 135, 136
PAYLOAD_AT = {SCTP: 4, DCCP: 4, UDPLITE: 8}
"""Where ``Packet.payload`` begins: behind what the packet's own fields stand for."""


def body(proto: int, spec: dict[str, Any], token: bytes, checksum: Callable[[bytes], int]) -> bytes | None:
    """Header and payload, ``token`` in it; None for a protocol without one here. ``checksum`` counts the pseudo header in."""
    ports = struct.pack(">HH", spec["sport"], spec["dport"])
    kind = spec.get("kind", 0)
    if proto == SCTP:
        if kind:  # no association begins with data: conntrack calls it invalid
            chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(token), 1, 0, 0, 0) + token
        else:
            chunk = struct.pack(">BBH", 1, spec.get("chunk_flags", 0), 20) + token + struct.pack(">HHI", 1, 1, 5)
        whole = ports + struct.pack(">II", 5 if kind else 0, 0) + chunk
        return whole[:8] + struct.pack("<I", crc32c(whole)) + whole[12:]
    if proto == DCCP:
        packet = ports + struct.pack(">BBHBBHIII", 5, 0, 0, kind << 1 | 1, 0, 0, 5, 5, 0)[:16] + token
        return packet[:6] + struct.pack(">H", checksum(packet)) + packet[8:]
    if proto == UDPLITE:
        packet = ports + struct.pack(">HH", 0, 0) + token
        return packet[:6] + struct.pack(">H", checksum(packet)) + packet[8:]
    if proto == AH:
        return struct.pack(">BBHII", 59, 5, 5 if kind else 0, 5, 5) + token
    if proto == ESP:
        return struct.pack(">II", 5, 5) + token
    if proto == COMP:
        return struct.pack(">BBH", 17, 0, 5) + token
    if proto == IGMP:  # a leave: whoever gets one does nothing
        packet = struct.pack(">BBHI", 0x17, 5, 0, 5) + token
        return packet[:2] + struct.pack(">H", _plain(packet)) + packet[4:]
    if proto == MOBILITY:  # a binding update, or a care-of test
        return struct.pack(">BBBBHHHH", 59, 2, 3 if kind else 5, 0, 0, 5, 0, 5)[:12] + token + bytes(4)
    return None


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), as SCTP has it (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc ^ 0xFFFFFFFF


def _plain(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
