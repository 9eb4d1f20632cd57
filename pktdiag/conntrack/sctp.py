"""SCTP as conntrack follows it, as far as the packet's chunks are known.

Source: net/netfilter/nf_conntrack_proto_sctp.c (nf_conntrack_sctp_packet, do_basic_checks, sctp_new). Checksums are taken to be right,
as those of real peers are; verification tags are held against those that the kernel knows.
"""

from __future__ import annotations

from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import Conn

INIT, INIT_ACK, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE = 1, 2, 10, 11, 14
_MOVING = frozenset((INIT, INIT_ACK, 4, 5, 6, 7, 8, 9, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN_COMPLETE))
"""Chunks that change the state of an association; the others leave one that is not there yet at "none", which is refused."""


_WITHOUT_TAG = frozenset((INIT, 4, 5, 6, 8, COOKIE_ECHO, SHUTDOWN_COMPLETE))
"""Heartbeats, ABORT and SHUTDOWN_ACK, too, have rules of their own (RFC 4960, section 8.5.1)."""


CLOSED = 1
"""SCTP_CONNTRACK_CLOSED: where an INIT leaves an association that it begins (sctp_conntracks)."""


def packet(conn: Conn, reply: bool, asked: Packet) -> str:
    """nf_conntrack_sctp_packet(): "accept", "ignored" or "invalid". An INIT sent again, from either end, renews no timeout and so moves
    no counter (v5.17, and the stable kernels of its time)."""
    if "payload" in asked.unknown or not asked.payload:
        return "accept"
    found = chunks(asked.payload)
    if found is None:
        return "invalid"
    tag = asked.payload[:4]
    if conn.confirmed:
        tags = conn.entry.sctp_tags if conn.entry is not None and "walked" not in conn.extra else None
        if tags is not None and not _WITHOUT_TAG.intersection(found) and tag != tags[reply]:
            return "invalid"
        if INIT in found:
            if any(tag):
                return "invalid"
            if conn.entry is None or conn.entry.sctp_state == CLOSED:
                return "ignored"
        return "accept"
    return "accept" if all(kind in _MOVING and not (kind == INIT and any(tag)) for kind in found) else "invalid"


def chunks(payload: bytes) -> list[int] | None:
    """do_basic_checks(): the types of the chunks behind tag and checksum; None where conntrack refuses their order."""
    found: list[int] = []
    at, alone = 8, False
    while at + 4 <= len(payload):
        kind, length = payload[at], int.from_bytes(payload[at + 2 : at + 4], "big")
        if not length:
            return None
        alone = alone or kind in (INIT, INIT_ACK, SHUTDOWN_COMPLETE)
        if found and (alone or kind in (COOKIE_ACK, COOKIE_ECHO)):
            return None
        found.append(kind)
        at += (length + 3) & ~3
    return found or None
