"""A packet tap on every device of a namespace that copies what it sees at once, as tcpdump's does: what is written into a packet later,
in place, does not show (Documentation/networking/packet_mmap.rst, TPACKET_V2)."""

from __future__ import annotations

import fcntl
import mmap
import socket
import struct
from collections.abc import Iterator

from .lab import Netns

PACKET_RX_RING, PACKET_VERSION, TPACKET_V2 = 5, 10, 1
FRAME, FRAMES, BLOCK = 2048, 1024, 1 << 16
"""What is longer than a frame of the ring is cut off: headers and tokens stand in front."""
HEADER = struct.Struct("=IIIHHIIHH4x")
"""struct tpacket2_hdr: status, len, snaplen, mac, net, seconds, nanoseconds, VLAN."""
ADDRESS = struct.Struct("=HHiHBB")
"""struct sockaddr_ll behind it: family, protocol (network order), ifindex, hatype, pkttype."""
SIOCGIFNAME = 0x8910
Address = tuple[str, int, int, int]
"""Device, protocol, packet type, hardware type: as recvfrom() on a packet socket names them."""


class Tap:
    """One namespace's."""

    def __init__(self, ns: Netns) -> None:
        with ns.inside():
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._sock.setsockopt(263, PACKET_VERSION, TPACKET_V2)
            self._sock.setsockopt(263, PACKET_RX_RING, struct.pack("=IIII", BLOCK, FRAME * FRAMES // BLOCK, FRAME, FRAMES))
            self._ring = mmap.mmap(self._sock.fileno(), FRAME * FRAMES)
        self._at = 0
        self._names: dict[int, str] = {}

    def fileno(self) -> int:
        return self._sock.fileno()

    def read(self) -> Iterator[tuple[bytes, int, Address]]:
        """(frame, time in nanoseconds, address) of what came since."""
        while True:
            place = self._at * FRAME
            status, _, size, mac, _, seconds, nanos, _, _ = HEADER.unpack_from(self._ring, place)
            if not status & 1:
                return
            _, protocol, index, hatype, pkttype, _ = ADDRESS.unpack_from(self._ring, place + 32)
            frame = self._ring[place + mac:place + mac + size]
            struct.pack_into("=I", self._ring, place, 0)
            self._at = (self._at + 1) % FRAMES
            yield frame, seconds * 1_000_000_000 + nanos, (self._name(index), socket.ntohs(protocol), pkttype, hatype)

    def _name(self, index: int) -> str:
        known = self._names.get(index)
        if known is None:
            try:
                answer = fcntl.ioctl(self._sock.fileno(), SIOCGIFNAME, struct.pack("=16si16x", b"", index))
                known = answer[:16].rstrip(b"\0").decode()
            except OSError:
                return ""
            self._names[index] = known
        return known

    def close(self) -> None:
        self._ring.close()
        self._sock.close()
