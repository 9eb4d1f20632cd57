"""Real packets: the bytes pktdiag thinks a packet has, made valid and put on the wire from inside a namespace."""

from __future__ import annotations

import ctypes
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from pktdiag.model.packet import Packet
from pktdiag.netfilter.nft.packet_bytes import image

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


@contextmanager
def inside(name: str) -> Iterator[None]:
    """The calling thread is in the namespace meanwhile."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as target:
        assert _libc.setns(target.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert _libc.setns(home.fileno(), CLONE_NEWNET) == 0


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(packet: Packet, source: bytes, destination: bytes) -> bytes:
    """An Ethernet frame: known bytes as pktdiag has them, unknown ones drawn, checksums right."""
    shape = image(packet)
    # The same in every run: one GRE packet in eight would be PPTP's (version 1), which connection tracking takes for invalid.
    draw = random.Random(repr((sorted(packet.unknown), packet._replace(unknown=frozenset()))))
    data = bytearray(shape.data + bytes(shape.length - len(shape.data)))
    mask = shape.unknown + b"\xff" * (shape.length - len(shape.data))
    for at, bits in enumerate(mask):
        data[at] |= draw.randrange(256) & bits
    four = len(packet.dst) == 4
    if four:
        data[10:12] = b"\0\0"
        data[10:12] = struct.pack(">H", checksum(bytes(data[:packet.header_length])))
    at = shape.behind or shape.thoff
    body = bytes(data[at:])
    place = {6: 16, 17: 6, 1: 2, 58: 2, 136: 6}.get(packet.proto)
    if place is not None and not shape.fragoff and len(body) >= place + 2:
        data[at + place : at + place + 2] = b"\0\0"
        body = bytes(data[at:])
        pseudo = b""
        if packet.proto != 1:
            tail = struct.pack(">BBH", 0, packet.proto, len(body)) if four else struct.pack(">II", len(body), packet.proto)
            pseudo = packet.src + packet.dst + tail
        data[at + place : at + place + 2] = struct.pack(">H", checksum(pseudo + body) or 0xFFFF)
    return destination + source + (b"\x08\x00" if four else b"\x86\xdd") + bytes(data)


def mac(name: str, device: str) -> bytes:
    with inside(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        address = sock.getsockname()[4]
    assert isinstance(address, bytes)
    return address


def send(name: str, device: str, *frames: bytes) -> None:
    """Puts frames on a device of a namespace; veth delivers them before the last send returns or very soon after."""
    with inside(name), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        for each in frames:
            sock.send(each)


__all__ = ["checksum", "frame", "inside", "mac", "send"]
