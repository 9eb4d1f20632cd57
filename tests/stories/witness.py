"""What really happened to a packet: taps in every namespace it may visit, drop reasons, counters."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SO_TIMESTAMPNS = 35
_libc = ctypes.CDLL(None, use_errno=True)


class Seen(NamedTuple):
    netns: str
    device: str
    direction: str
    src: str
    dst: str
    sport: int
    dport: int
    proto: str


@contextmanager
def entered(path: str) -> Iterator[None]:
    """This thread inside another network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if _libc.setns(there, 0x40000000):
            raise OSError(ctypes.get_errno(), path)
        yield
    finally:
        _libc.setns(home, 0x40000000)
        os.close(there)
        os.close(home)


class Witness:
    """Opened before the packet is sent; asked afterwards."""

    def __init__(self, paths: Sequence[str]) -> None:
        """``paths``: /run/netns/NAME or /proc/PID/ns/net of every namespace to watch."""
        self.taps: list[tuple[socket.socket, str, str]] = []
        self.before: dict[str, dict[str, int]] = {}
        for path in paths:
            inode = f"net:[{os.stat(path).st_ino}]"
            with entered(path):
                tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
                self.before[inode] = snmp()
            tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            tap.setblocking(False)
            self.taps.append((tap, inode, path))
        self._trace = Drops()

    def sightings(self, wanted: object) -> list[Seen]:
        """Of every IPv4 packet for which ``wanted(src, dst, proto, transport bytes)`` is true, in the order of time."""
        found: list[tuple[int, int, Seen]] = []
        number = 0
        for tap, inode, path in self.taps:
            with entered(path):
                while True:
                    try:
                        data, extra, _, address = tap.recvmsg(2048, 256)
                    except BlockingIOError:
                        break
                    seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
                    number += 1
                    if data[0] >> 4 != 4:
                        continue
                    header = (data[0] & 15) * 4
                    src, dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
                    proto = {1: "icmp", 6: "tcp", 17: "udp"}.get(data[9], str(data[9]))
                    body = data[header:]
                    if not wanted(src, dst, proto, body):  # type: ignore[operator]
                        continue
                    sport, dport = struct.unpack(">HH", body[:4]) if proto != "icmp" else (0, 0)
                    direction = "out" if address[2] == 4 else "in"
                    found.append((seconds * 10**9 + nanoseconds, number, Seen(inode, address[0], direction, src, dst, sport, dport, proto)))
        return [seen for _, _, seen in sorted(found)]

    def moved(self) -> dict[str, dict[str, int]]:
        """Counters that moved, per namespace."""
        result = {}
        for _, inode, path in self.taps:
            with entered(path):
                now = snmp()
            old = self.before[inode]
            result[inode] = {name: value - old.get(name, 0) for name, value in now.items() if value != old.get(name, 0)}
        return result

    def reasons(self) -> set[str]:
        return self._trace.reasons()

    def close(self) -> None:
        for tap, _, _ in self.taps:
            tap.close()
        self._trace.close()


@contextmanager
def watching(*paths: str) -> Iterator[Witness]:
    witness = Witness(paths)
    try:
        yield witness
    finally:
        witness.close()


def keep_timestamps_on() -> socket.socket:
    """While this socket is open the kernel stamps every packet when it passes. The switch (net_enable_timestamp) takes effect
    through a work queue, so it has to be thrown well before the packet that counts; an unstamped packet is stamped when read."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock


def snmp() -> dict[str, int]:
    """/proc/net/snmp and netstat of the current namespace under nstat's names."""
    values = {}
    for name in ("snmp", "netstat"):
        lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()
        for keys, numbers in zip(lines[::2], lines[1::2]):
            prefix = keys.split(":")[0]
            values.update({prefix + key: int(number) for key, number in zip(keys.split()[1:], numbers.split()[1:])})
    return values


class Drops:
    """skb:kfree_skb in a tracefs instance of our own."""

    def __init__(self) -> None:
        base = Path("/sys/kernel/tracing")
        if not (base / "instances").is_dir():
            subprocess.run(["mount", "-t", "tracefs", "tracefs", str(base)], check=True)
        self.path = base / "instances" / f"pktdiag-{os.getpid()}-{time.monotonic_ns()}"
        self.path.mkdir()
        (self.path / "events/skb/kfree_skb/enable").write_text("1")

    def reasons(self) -> set[str]:
        return set(re.findall(r"reason: (\w+)", (self.path / "trace").read_text()))

    def close(self) -> None:
        (self.path / "events/skb/kfree_skb/enable").write_text("0")
        self.path.rmdir()
