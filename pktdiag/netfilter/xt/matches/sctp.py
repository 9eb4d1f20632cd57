"""sctp: ports and chunk types. net/netfilter/xt_sctp.c: sctp_mt, match_packet."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range

SRC_PORTS, DEST_PORTS, CHUNK_TYPES = 1, 2, 4
ANY, ALL, ONLY = 1, 2, 4
HOW = {ANY: "any", ALL: "all", ONLY: "only"}
CHUNKS = {0: "DATA", 1: "INIT", 2: "INIT_ACK", 3: "SACK", 4: "HEARTBEAT", 5: "HEARTBEAT_ACK", 6: "ABORT", 7: "SHUTDOWN",
          8: "SHUTDOWN_ACK", 9: "ERROR", 10: "COOKIE_ECHO", 11: "COOKIE_ACK", 12: "ECN_ECNE", 13: "ECN_CWR",
          14: "SHUTDOWN_COMPLETE", 64: "I_DATA", 130: "RE_CONFIG", 132: "PAD", 193: "ASCONF", 128: "ASCONF_ACK",
          192: "FORWARD_TSN", 194: "I_FORWARD_TSN"}
FLAG_LETTERS = {0: "----IUBE", 6: "-------T", 14: "-------T", 64: "----IUBE"}


class Sctp(NamedTuple):
    """struct xt_sctp_info."""

    dpts: tuple[int, int]
    spts: tuple[int, int]
    chunks: int
    how: int
    chunk_flags: tuple[tuple[int, int, int], ...]
    """(chunk type, flag, mask)"""
    flags: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Sctp:
    if rev != 0:
        raise UnknownRevisionError
    d0, d1, s0, s1, *words = unpack_from("=4H64II", data)
    chunks = sum(word << 32 * i for i, word in enumerate(words[:64]))
    infos = tuple(unpack_from("=BBB", data, 268 + 3 * i) for i in range(4))
    count, flags, invflags = unpack_from("=iII", data, 280)
    if not 0 <= count <= 4:
        raise ValueError("sctp")
    return Sctp((d0, d1), (s0, s1), chunks, words[64], infos[:count], flags, invflags)


def evaluate(info: Sctp, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    for flag, port, (low, high) in ((SRC_PORTS, packet.sport, info.spts), (DEST_PORTS, packet.dport, info.dpts)):
        if info.flags & flag and (low <= port <= high) == bool(info.invflags & flag):
            return False
    if info.flags & CHUNK_TYPES:
        known = None if "payload" in packet.unknown else _satisfied(info, packet.payload)
        if known is None:
            return Unknown(f"the SCTP packet's chunks satisfy {_chunks(info)}")
        return known != bool(info.invflags & CHUNK_TYPES)
    return True


def _satisfied(info: Sctp, payload: bytes) -> bool | None:
    """match_packet(), over a packet from behind its ports; None where a chunk's end is not told."""
    left, at = info.chunks, 8
    while at < len(payload):
        if at + 4 > len(payload):
            return None
        kind, flags, length = unpack_from(">BBH", payload, at)
        if not length:
            return None
        at += (length + 3) & ~3
        wanted = next((flags & mask == flag for chunk, flag, mask in info.chunk_flags if chunk == kind), True)
        if info.chunks >> kind & 1 and wanted:
            if info.how == ANY:
                return True
            left &= ~(1 << kind)
        elif info.how == ONLY:
            return False
    return None if at == 8 else {ANY: False, ALL: not left}.get(info.how, True)


def _chunks(info: Sctp) -> str:
    invert = bang(info.invflags & CHUNK_TYPES)
    how = HOW.get(info.how, str(info.how))
    if not info.chunks:
        return f"{invert}--chunk-types {how} NONE"
    if info.chunks == (1 << 2048) - 1:
        return f"{invert}--chunk-types {how} ALL"
    names = []
    for number in range(256):
        if not info.chunks >> number & 1:
            continue
        name = CHUNKS.get(number, f"{number}")
        for chunk, flag, mask in info.chunk_flags:
            if chunk == number:
                letters = FLAG_LETTERS.get(number, "--------")
                bits = [bit for bit in range(7, -1, -1) if mask >> bit & 1]
                name += ":" + "".join(letters[7 - bit] if flag >> bit & 1 else letters[7 - bit].lower() for bit in bits)
        names.append(name)
    return f"{invert}--chunk-types {how} {','.join(names)}"


def render(info: Sctp, family: int) -> str:
    parts = []
    if info.flags & SRC_PORTS:
        parts.append(f"{bang(info.invflags & SRC_PORTS)}--sport {port_range(*info.spts)}")
    if info.flags & DEST_PORTS:
        parts.append(f"{bang(info.invflags & DEST_PORTS)}--dport {port_range(*info.dpts)}")
    if info.flags & CHUNK_TYPES:
        parts.append(_chunks(info))
    return " ".join(parts)
