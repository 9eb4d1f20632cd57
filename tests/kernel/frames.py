"""Takes a captured frame apart, and says whose it is: the packet asked about, its answer, or something that follows."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from . import headers

ICMP_ERRORS4 = frozenset((3, 4, 11, 12))
ICMP_ERRORS6 = frozenset((1, 2, 3, 4))
ND_TYPES = frozenset((130, 131, 132, 133, 134, 135, 136, 137, 143))
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772


class Tag(NamedTuple):
    """How one packet is recognised wherever it shows up, also rewritten, also quoted in an error."""

    token: bytes
    """Eight bytes in the payload of UDP and echo."""
    proto: int
    seq: int | None
    """TCP sequence number, where we set it; None: the kernel's own socket chose it."""
    ack: int
    flags: int
    icmp_type: int


class Seen(NamedTuple):
    """One frame on one tap."""

    when: int
    """Nanoseconds."""
    netns: str
    device: str
    direction: str
    kind: str
    """"request", "answer", "arp", "nd", "other", "none"."""
    src: str
    dst: str
    sport: int
    dport: int
    proto: int
    ttl: int
    length: int
    what: str
    """ICMP "3/3", TCP flags as hex, or ""."""
    frag: int = 0
    smac: str = ""
    dmac: str = ""
    mtu: int = 0
    """Of "fragmentation needed": the MTU told; of a SYN-ACK: the segment size it announces."""
    seq: int = 0
    """Of a TCP segment."""
    ident: int = 0
    """Of a fragment: which datagram's it is."""


class Parsed(NamedTuple):
    src: str
    dst: str
    proto: int
    sport: int
    dport: int
    ttl: int
    length: int
    frag: int
    body: bytes
    """From the transport header on."""
    ident: int = 0
    """Of a fragment, the first one too."""


def parse_ip(data: bytes) -> Parsed | None:
    if len(data) >= 20 and data[0] >> 4 == 4:
        header = (data[0] & 15) * 4
        total, ident, frag = struct.unpack_from(">HHH", data, 2)
        ident = ident if frag & 0x3FFF else 0
        body = data[header:max(total, header)]
        src, dst = (socket.inet_ntop(socket.AF_INET, data[o:o + 4]) for o in (12, 16))
        proto, ttl, offset = data[9], data[8], frag & 0x1FFF
    elif len(data) >= 40 and data[0] >> 4 == 6:
        total = struct.unpack_from(">H", data, 4)[0] + 40
        proto, at, offset = headers.skip(data, data[6])
        ident = headers.identification(data, data[6])
        ttl, body = data[7], data[at:total]
        src, dst = (socket.inet_ntop(socket.AF_INET6, data[o:o + 16]) for o in (8, 24))
    else:
        return None
    sport = dport = 0
    if proto in (6, 17, 132, 33, 136) and len(body) >= 4 and not offset:
        sport, dport = struct.unpack_from(">HH", body)
    return Parsed(src, dst, proto, sport, dport, ttl, total, offset, body, ident)


def classify(packet: Parsed, tag: Tag) -> tuple[str, str]:
    """(kind, what) of one IP packet."""
    body, proto = packet.body, packet.proto
    if packet.frag:
        return ("request" if tag.token in body else "other"), ""
    if proto in (1, 58) and len(body) >= 8:
        kind, code = body[0], body[1]
        what = f"{kind}/{code}"
        if proto == tag.proto and kind == tag.icmp_type and body[8:].startswith(tag.token):
            return "request", what  # an error message too, when it is what was sent: it quotes nothing
        if proto == 58 and kind in ND_TYPES:
            return "nd", what
        if kind in (ICMP_ERRORS4 if proto == 1 else ICMP_ERRORS6):
            inner = parse_ip(body[8:])
            if inner and inner.proto == tag.proto and _is_request(inner, tag):
                return "answer", what
            return "other", what
        if (proto, tag.icmp_type, kind) == (1, 13, 14):  # a timestamp reply has room for half of the token only
            return "answer", what
        if proto == tag.proto and tag.token in body:
            if kind == tag.icmp_type:
                return "request", what
            if (proto, tag.icmp_type, kind) in ((1, 8, 0), (58, 128, 129)):
                return "answer", what
        return "other", what
    if proto != tag.proto:
        return "other", ""
    if proto == 6 and len(body) >= 14:
        what = f"{body[13]:02x}"
        if _is_request(packet, tag):
            return "request", what
        seq, ack = struct.unpack_from(">II", body, 4)
        if tag.seq is None:
            return ("answer" if body[13] & 0x16 in (0x12, 0x14) else "other"), what
        if body[13] & 4 and not body[13] & 0x10:
            return ("answer" if tag.flags & 0x10 and seq == tag.ack else "other"), what
        return ("answer" if body[13] & 0x10 and (ack - tag.seq & 0xFFFFFFFF) < 65536 else "other"), what
    if _is_request(packet, tag):
        return "request", ""
    return ("answer" if answer_to(tag.token) in body[8:] else "other"), ""


def answer_to(token: bytes) -> bytes:
    """What our UDP listeners answer a request with: as long as the request, so that rules on lengths see what was asked about."""
    return b"R" + token[1:]


def announced_mss(segment: bytes) -> int:
    """The MSS option of a TCP header; 0 without one."""
    options = segment[20:(segment[12] >> 4) * 4]
    at = 0
    while at + 1 < len(options) and options[at]:
        if options[at] == 2:
            return int(struct.unpack_from(">H", options, at + 2)[0])
        at += 1 if options[at] == 1 else max(options[at + 1], 2)
    return 0


def _is_request(packet: Parsed, tag: Tag) -> bool:
    body = packet.body
    if packet.frag:
        return tag.token in body
    if packet.proto == 6:
        if len(body) < 8:
            return False
        if tag.seq is not None:
            return struct.unpack_from(">I", body, 4)[0] == tag.seq
        return len(body) < 14 or body[13] & 0x12 == 2
    if packet.proto in (1, 58):
        return body[0] == tag.icmp_type and tag.token in body
    return tag.token in body


def seen(frame: bytes, when: int, netns: str, address: tuple[object, ...], tag: Tag) -> Seen:
    """One capture as a Seen; kind "none" for what is neither IP nor ARP."""
    device, ethertype, pkttype, hatype = str(address[0]), int(address[1]), int(address[2]), int(address[3])  # type: ignore[call-overload]
    direction = "out" if pkttype == 4 else "in"
    smac = dmac = ""
    if hatype in (ARPHRD_ETHER, ARPHRD_LOOPBACK):
        ethertype = struct.unpack_from(">H", frame, 12)[0]
        dmac, smac = frame[:6].hex(":"), frame[6:12].hex(":")
        data = frame[14:]
        while ethertype in (0x8100, 0x88A8):
            ethertype = struct.unpack_from(">H", data, 2)[0]
            data = data[4:]
    else:
        data = frame
    if ethertype == 0x0806:
        op = struct.unpack_from(">H", data, 6)[0]
        src, dst = (socket.inet_ntop(socket.AF_INET, data[o:o + 4]) for o in (14, 24))
        return Seen(when, netns, device, direction, "arp", src, dst, op, 0, 0, 0, len(data), "reply" if op == 2 else "ask",
                    0, smac, dmac)
    packet = parse_ip(data) if ethertype in (0x0800, 0x86DD) else None
    if packet is None:
        return Seen(when, netns, device, direction, "none", "", "", 0, 0, 0, 0, len(frame), "", 0, smac, dmac)
    kind, what = classify(packet, tag)
    mtu = struct.unpack_from(">H", packet.body, 6)[0] if kind == "answer" and what == "3/4" else 0
    if kind == "answer" and packet.proto == 6 and packet.body[13] & 0x12 == 0x12:
        mtu = announced_mss(packet.body)
    return Seen(when, netns, device, direction, kind, packet.src, packet.dst, packet.sport, packet.dport, packet.proto,
                packet.ttl, packet.length, what, packet.frag, smac, dmac, mtu,
                struct.unpack_from(">I", packet.body, 4)[0] if packet.proto == 6 and len(packet.body) >= 8 else 0, packet.ident)


def like_their_first(captured: list[Seen]) -> list[Seen]:
    """Later fragments are whose their datagram's first one is: they hold nothing that would tell."""
    exact = {(s.ident, s.proto, s.src, s.dst): s.kind for s in captured if s.ident and not s.frag}
    kinds: dict[tuple[int, int], set[str]] = {}
    for (ident, proto, _, _), kind in exact.items():
        kinds.setdefault((ident, proto), set()).add(kind)
    told = []
    for sight in captured:
        alike = kinds.get((sight.ident, sight.proto), set())
        if sight.ident and sight.frag and sight.kind == "other" and alike:
            kind = exact.get((sight.ident, sight.proto, sight.src, sight.dst)) or (alike.pop() if len(alike) == 1 else "other")
            sight = sight._replace(kind=kind)
        told.append(sight)
    return told
