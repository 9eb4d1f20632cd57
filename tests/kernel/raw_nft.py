"""What the installed nft cannot write and the kernel has: ``last`` (nft 1.0.6 does not know the word, the kernel does since 5.14).

nft loads such a rule with a stand-in for the expression; in the rule that the kernel then has, the stand-in is replaced.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator

from pktdiag.collect.netlink import attribute, nested

STAND_IN = "limit rate 77/week"
_RATE = attribute(1, struct.pack(">Q", 77))
_LAST = nested(1, attribute(1, b"last\0"), nested(2))
NFT_MSG_NEWRULE, NFT_MSG_GETRULE = 10 << 8 | 6, 10 << 8 | 7
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_DUMP = 1, 4, 0x100, 0x300
TABLE, CHAIN, HANDLE, EXPRESSIONS = 1, 2, 3, 4


def for_nft(line: str) -> str:
    """The line as nft takes it."""
    return re.sub(r"\blast\b(?= counter$)", STAND_IN, line) if line.startswith("add rule") else line


def put_in_place(lines: list[str]) -> None:
    """Replaces the stand-ins among the rules of the namespace the caller is in, if there are any. A replaced rule keeps its place."""
    if all(for_nft(line) == line for line in lines):
        return
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        for family, rule in list(_rules(netfilter)):
            known = dict(_attributes(rule))
            expressions = [attribute(1, body) for _, body in _attributes(known.get(EXPRESSIONS, b""))]
            changed = [_LAST if _RATE in each and b"limit\0" in each else each for each in expressions]
            if changed != expressions:
                body = b"".join(attribute(kind, known[kind]) for kind in (TABLE, CHAIN, HANDLE)) + nested(EXPRESSIONS, *changed)
                _replace(netfilter, family, body)


def _rules(netfilter: socket.socket) -> Iterator[tuple[int, bytes]]:
    netfilter.send(struct.pack("=IHHIIBBH", 20, NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0, 0, 0))
    while True:
        data = netfilter.recv(1 << 18)
        at = 0
        while at + 16 <= len(data):
            size, kind = struct.unpack_from("=IH", data, at)
            if kind in (2, 3):  # an error, the end
                return
            yield data[at + 16], data[at + 20:at + size]
            at += size + 3 & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4:at + size]
        at += size + 3 & ~3


def _replace(netfilter: socket.socket, family: int, body: bytes) -> None:
    batch = struct.pack(">BBH", 0, 0, 10)
    messages = ((0x10, NLM_F_REQUEST, batch), (NFT_MSG_NEWRULE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE, bytes((family, 0, 0, 0)) + body),
                (0x11, NLM_F_REQUEST, batch))
    netfilter.send(b"".join(struct.pack("=IHHII", 16 + len(each), kind, flags, number, 0) + each
                            for number, (kind, flags, each) in enumerate(messages, 1)))
    error = -struct.unpack_from("=i", netfilter.recv(1 << 16), 16)[0]
    if error:
        raise OSError(error, f"NFT_MSG_NEWRULE with last: {os.strerror(error)}")
