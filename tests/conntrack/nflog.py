"""Listening to ``log group`` and NFLOG of one namespace: the order of log lines without the kernel's one global log."""

from __future__ import annotations

import socket
import struct

NETLINK_NETFILTER = 12
NFNL_SUBSYS_ULOG = 4
NFULNL_MSG_PACKET, NFULNL_MSG_CONFIG = 0, 1
NFULA_CFG_CMD, NFULA_CFG_MODE = 1, 2
NFULNL_CFG_CMD_BIND = 1
NFULA_PREFIX = 10


class Listener:
    """Bound to one group. Open it inside the namespace."""

    def __init__(self, group: int) -> None:
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.sock.settimeout(1)
        mode = struct.pack("=HHIBB", 10, NFULA_CFG_MODE, 0, 1, 0) + b"\0\0"
        for attribute in (struct.pack("=HHB", 5, NFULA_CFG_CMD, NFULNL_CFG_CMD_BIND) + b"\0\0\0", mode):
            body = struct.pack("!BBH", 0, 0, group) + attribute
            header = struct.pack("=IHHII", 16 + len(body), NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, 5, 1, 0)
            self.sock.send(header + body)
            answer = self.sock.recv(4096)
            assert struct.unpack_from("=i", answer, 16)[0] == 0, answer

    def prefixes(self, count: int) -> list[str]:
        """The next log prefixes: at least ``count``, then whatever is already there."""
        found: list[str] = []
        while True:
            self.sock.settimeout(2 if len(found) < count else 0.05)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                return found
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET:
                    found.append(_prefix(data[at + 20:at + length]))
                at += length + 3 & ~3

    def close(self) -> None:
        self.sock.close()


def _prefix(attributes: bytes) -> str:
    at = 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if kind & 0x3FFF == NFULA_PREFIX:
            return attributes[at + 4:at + length].rstrip(b"\0").decode()
        at += length + 3 & ~3
    return ""
