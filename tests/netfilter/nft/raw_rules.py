"""Rules that the installed ``nft`` cannot write, as netlink messages (include/uapi/linux/netfilter/nf_tables.h)."""

from __future__ import annotations

import socket
import struct

from pktdiag.collect.netlink import attribute, nested

from .packets import inside

Data = tuple[tuple[int, "bytes | int | Data"], ...]
"""Attributes: numbers are 32 bits in network order."""


def attributes(data: Data) -> bytes:
    return b"".join(nested(kind, attributes(value)) if isinstance(value, tuple) else
                    attribute(kind, value.to_bytes(4, "big") if isinstance(value, int) else value) for kind, value in data)


def expression(name: str, data: Data = ()) -> Data:
    return (1, name.encode() + b"\0"), (2, data)


def payload(base: int, offset: int, length: int) -> Data:
    return expression("payload", ((1, 8), (2, base), (3, offset), (4, length)))


def equals(value: bytes) -> Data:
    return expression("cmp", ((1, 8), (2, 0), (3, ((1, value),))))


def add_rule(netns: str, family: int, table: str, chain: str, *expressions: Data) -> None:
    """Raises OSError where the kernel refuses it."""
    rule = attributes(((1, table.encode() + b"\0"), (2, chain.encode() + b"\0"), (4, tuple((1, each) for each in expressions))))
    messages = [(0x10, 1, struct.pack(">BBH", 0, 0, 10)), (10 << 8 | 6, 1 | 4 | 0x400 | 0x800, bytes((family, 0, 0, 0)) + rule),
                (0x11, 1, struct.pack(">BBH", 0, 0, 10))]
    with inside(netns):
        netfilter = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    with netfilter:
        netfilter.send(b"".join(struct.pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body
                                for number, (kind, flags, body) in enumerate(messages, 1)))
        answer = netfilter.recv(65536)
        error = -struct.unpack_from("=i", answer, 16)[0]
        if error:
            raise OSError(error, "NFT_MSG_NEWRULE")
