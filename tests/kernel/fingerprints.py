"""Fingerprints for ``osf``: of the SYNs that the judge sends, from raw sockets (without options) and from TCP's own.

The list is the machine's, not a namespace's (net/netfilter/nfnetlink_osf.c: nf_osf_fingers), so what is in it bears a name of its own,
which no rule but the judge's asks for, and is taken out when the judge ends. Nobody can read the list.
"""

from __future__ import annotations

import socket
import struct

from pktdiag.collect.netlink import attribute

GENRE, VERSION = b"pktdiag", b"1"
OSF_MSG_ADD, OSF_MSG_REMOVE = 5 << 8, 5 << 8 | 1
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 1, 4, 0x400
SIZES = ((40, ()), (60, ((2, 4), (4, 2), (8, 10), (1, 1), (3, 3))), (44, ((2, 4),)))
"""(length of the IP packet, (kind, length) of each option): as the senders' SYNs are."""


def _fingers() -> list[bytes]:
    """struct nf_osf_user_finger: any window, sent with a TTL of 64, not to be cut."""
    found = []
    for size, options in SIZES:
        data = struct.pack("=IIBBHHH", 0, 0, 64, 1, size, 0, len(options)) + GENRE.ljust(32, b"\0") + VERSION.ljust(32, b"\0") + bytes(32)
        data += b"".join(struct.pack("=HHII", kind, length, 0, 0) for kind, length in options)
        found.append(data.ljust(592, b"\0"))
    return found


def _say(kind: int, flags: int) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        for number, finger in enumerate(_fingers()):
            body = bytes(4) + attribute(1, finger)
            netfilter.send(struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ACK | flags, number, 0) + body)
            netfilter.recv(4096)  # a kernel without them refuses the rules, too


def load() -> None:
    """What ``nfnl_osf -f`` does; one that is there already stays as it is."""
    _say(OSF_MSG_ADD, NLM_F_CREATE)


def remove() -> None:
    _say(OSF_MSG_REMOVE, 0)
