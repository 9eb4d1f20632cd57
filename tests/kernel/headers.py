"""Packets with IPv4 options and IPv6 extension headers, and fragments: what a host's rules ask for is sent there more often.

In a packet's description: "ext", a list of [number, hex of the whole header] (IPv6); "ipopts", hex (IPv4); "frag", [offset, more, id];
"odd", bytes more than a first fragment may have, so that nobody gathers it; "behind", as "ext", behind a fragment header.
"""

from __future__ import annotations

import re
import socket
import struct
from typing import Any

from .topology import Plan

PacketSpec = dict[str, Any]
HOP, ROUTING, FRAGMENT, AUTH, NONE, DST, MOBILITY = 0, 43, 44, 51, 59, 60, 135
PAD, TWO, ALERT = "0000010400000000", "00010104000000001e06000000000000", "0000050200000100"
LABELS = {"more padding": "0001" + "00" * 8 + "010400000000", "padding that is not zero": "0000010400000001",
          "too long": "00001e0700000000", "drop": "00004a0400000000", "tell": "00008a0400000000", "tell unless many": "0000ca0400000000"}
"""Options nobody knows or may send, by what comes of them (net/ipv6/exthdrs.c: ip6_parse_tlv)."""
OPTIONS4 = {"ra": ("94040000", "94040000", "94040001"), "rr": ("070b04000000000000000000", "070b08c6336405" + "00" * 5, "07070807010203" + "00"),
            "lsrr": ("830704c633640500",), "ssrr": ("890704c633640500",), "": ("01010100", "440c0500" + "00" * 8, "440c0d01" + "00" * 8, "5e040000")}
WRONG4 = ("94030000", "070b0300000000000000000000"[:24], "07ff0400", "440c0400" + "00" * 8, "0107040000000000"[:16], "070704010203040007070401020304" + "00")


def routing(kind: int, left: int, segments: list[str], tag: int = 0) -> str:
    """A routing header; of type 4 (segment routing) with the number of the last segment."""
    third = struct.pack(">BBH", len(segments) - 1, 0, tag) if kind == 4 else bytes(4)
    addresses = b"".join(socket.inet_pton(socket.AF_INET6, each) for each in segments)
    return (bytes((0, 2 * len(segments), kind, left)) + third + addresses).hex()


def dress(plan: Plan, found: list[PacketSpec], rules: str) -> None:
    """Gives some of the packets that we make ourselves headers."""
    asked6 = [name for name, words in {
        "hbh": r"hbh|hop", "dst": r"exthdr dst|dst nexthdr|-m dst|header dst", "rt": r"-m rt|rt type|rt seg|exthdr rt", "srh": "-m srh",
        "frag": r"frag ", "mh": r"\bmh\b|mobility", "ah": r"-m ah|\bah ", "none": r"ipv6header"}.items() if re.search(words, rules)]
    asked4 = [name for name in ("ra", "rr", "lsrr", "ssrr") if re.search(rf"ip option {name}\b", rules)]
    fragments4 = bool(re.search(r" -f\b|frag-off", rules))
    eui = "eui64" in rules
    numbers = {5}
    for spec in found:
        six = ":" in spec["dst"]
        if spec["how"] == "socket" and (asked6 if six else asked4 or fragments4) and plan.chance(0.5):
            _raw(plan, spec)
        if spec["how"] == "socket" or spec.get("vlan"):
            continue
        plain = spec["proto"] in ("icmp", "tcp", "udp")
        if six and eui and spec["how"] == "frame" and plan.chance(0.5):
            _from_mac(spec)
        if six and plan.chance(0.7 if asked6 else 0.06):
            _six(plan, spec, plan.rng.choice(asked6 or ["hbh", "dst", "rt", "frag", "ah", "none"]), numbers, plain)
        elif not six and fragments4 and plain and plan.chance(0.3):
            spec["frag"] = [*plan.rng.choice(((0, 1), (64, 1), (64, 0), (8, 1))), 0]
            spec["df"] = False
        elif not six and plan.chance(0.5 if asked4 else 0.05):
            kinds = OPTIONS4[plan.rng.choice(asked4)] if asked4 and plan.chance(0.75) else OPTIONS4[""] + OPTIONS4["ra"] + OPTIONS4["rr"] + WRONG4
            spec["ipopts"] = plan.rng.choice(kinds)


def _raw(plan: Plan, spec: PacketSpec) -> None:
    """From a raw socket instead of one of its own, where nothing else about it depends on that."""
    if spec.get("dev") or spec.get("broadcast") or spec["proto"] not in ("udp", "icmp"):
        return
    own = [i.v6 if ":" in spec["dst"] else i.v4 for i in plan.interfaces if i.ns == spec["ns"]]
    spec["src"] = spec["src"] or next((address for address in own if address), "")
    spec["how"] = "raw" if spec["src"] else "socket"


def _from_mac(spec: PacketSpec) -> None:
    """The source address that the sender's MAC address would give."""
    mac = bytes.fromhex((spec.get("smac") or "02:00:5e:00:00:99").replace(":", ""))
    prefix = socket.inet_pton(socket.AF_INET6, spec["src"] or "2001:db8::")[:8]
    spec["src"] = socket.inet_ntop(socket.AF_INET6, prefix + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:])


def _six(plan: Plan, spec: PacketSpec, kind: str, numbers: set[int], plain: bool) -> None:
    rng = plan.rng
    own = [i.v6 for i in plan.interfaces if i.v6] or ["2001:db8::99"]
    odd = rng.choice(list(LABELS.values()))
    chain: list[list[Any]] = []
    if kind == "hbh":
        chain = [[HOP, rng.choice((PAD, PAD, PAD, TWO, ALERT, odd))]]
    elif kind == "dst":
        chain = [[DST, rng.choice((PAD, PAD, TWO, odd))]]
    elif kind == "rt":
        chain = [[ROUTING, rng.choice((*[routing(0, 0, [own[0]])] * 5, routing(0, 2, [own[0], own[-1]]), routing(2, 1, [own[0]]),
                                       routing(2, 0, [own[0]]), routing(3, 0, [own[0]]), routing(9, 0, [own[0]]), routing(9, 1, [own[0]])))]]
    elif kind == "srh":
        chain = [[ROUTING, rng.choice((routing(4, 0, [spec["dst"]]), routing(4, 0, [spec["dst"]], 5), routing(4, 1, [rng.choice(own), spec["dst"]])))]]
    elif kind == "ah":
        chain = [[AUTH, "00040000000000050000000969696969696969696969696969"[:48]]]
        chain = chain if plan.chance(0.7) else [[DST, PAD], *chain]
    elif kind in ("none", "mh"):
        chain, spec["proto"], spec["kind"] = ([[DST, PAD]], NONE, 0) if kind == "none" else ([], MOBILITY, 1)
        for key in ("icmp", "options", "size"):
            spec.pop(key, None)
    elif plain:
        number = numbers.pop() if numbers else 0
        spec["frag"] = [*rng.choice(((0, 1), (0, 1), (64, 1), (64, 0), (8, 1), (0, 0))), number]
        if not spec["frag"][0] and plan.chance(0.3):
            spec["behind"] = [[DST, PAD]]
        if spec["frag"][:2] == [0, 1] and plan.chance(0.6):
            spec["odd"] = 4
    if kind in ("dst", "rt", "ah", "frag") and plan.chance(0.2):
        chain = [[HOP, PAD], *chain]
    if chain:
        spec["ext"] = chain


def bare(spec: PacketSpec) -> PacketSpec:
    return {key: value for key, value in spec.items() if key not in ("ext", "ipopts", "frag", "behind", "odd")}


def chain(spec: PacketSpec, number: int) -> tuple[tuple[int, bytes], ...]:
    """The IPv6 headers as the packet has them; ``number`` stands for a fragment id not given."""
    links = [(each, bytes.fromhex(text)) for each, text in spec.get("ext", ())]
    if spec.get("frag") and ":" in spec["dst"]:
        offset, more, given = spec["frag"]
        links.append((FRAGMENT, struct.pack(">BBHI", 0, 0, offset | more, given or number)))
    return (*links, *((each, bytes.fromhex(text)) for each, text in spec.get("behind", ())))


def options(spec: PacketSpec) -> bytes:
    raw = bytes.fromhex(spec.get("ipopts", ""))
    return raw + bytes(-len(raw) % 4)


def length(spec: PacketSpec) -> int:
    """Bytes in front of the transport header."""
    if ":" in spec["dst"]:
        return 40 + sum(len(data) for _, data in chain(spec, 0))
    return 20 + len(options(spec))


def linked(links: tuple[tuple[int, bytes], ...], proto: int) -> tuple[int, bytes]:
    """(what the IPv6 header says comes next, the headers as bytes)."""
    raw = b""
    for position, (_, data) in enumerate(links):
        following = links[position + 1][0] if position + 1 < len(links) else proto
        raw += bytes((following,)) + data[1:]
    return (links[0][0] if links else proto), raw


def destination(spec: PacketSpec) -> str:
    """The last one, which checksums go by: of a segment routing header, its first segment."""
    for number, text in spec.get("ext", ()):
        data = bytes.fromhex(text)
        if number == ROUTING and data[3]:
            return socket.inet_ntop(socket.AF_INET6, data[8:24] if data[2] == 4 else data[-16:])
    return str(spec["dst"])


def identification(data: bytes, number: int) -> int:
    """Of an IPv6 fragment; 0 for what is none, or all of its datagram."""
    at = 40
    while number in (HOP, ROUTING, FRAGMENT, AUTH, DST) and len(data) >= at + 8:
        if number == FRAGMENT:
            offset, ident = struct.unpack_from(">HI", data, at + 2)
            return int(ident) if offset & 0xFFF9 else 0
        number, at = data[at], at + ((data[at + 1] + 2) * 4 if number == AUTH else (data[at + 1] + 1) * 8)
    return 0


def skip(data: bytes, number: int) -> tuple[int, int, int]:
    """(transport protocol, where it begins, fragment offset) of an IPv6 packet: through everything, as a dissector does it."""
    at = 40
    while number in (HOP, ROUTING, FRAGMENT, AUTH, DST) and len(data) >= at + 8:
        if number == FRAGMENT:
            offset = struct.unpack_from(">H", data, at + 2)[0] & 0xFFF8
            if offset:
                return data[at], at + 8, offset
        size = 8 if number == FRAGMENT else (data[at + 1] + 2) * 4 if number == AUTH else (data[at + 1] + 1) * 8
        number, at = data[at], at + size
    return number, at, 0
