"""IPv4 options: what ip_options_compile() makes of them, when a packet is received and when a rule asks.

Source: net/ipv4/ip_options.c (__ip_options_compile, __ip_options_echo). Offsets count from the IPv4 header's begin.
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

END, NOOP, SEC, LSRR, TIMESTAMP, CIPSO, RR, SSRR, RA = 0, 1, 130, 131, 68, 134, 7, 137, 148
_SOURCE_ROUTES = (LSRR, SSRR)


class Compiled(NamedTuple):
    """struct ip_options; offsets 0 where there is no such option."""

    error: int | None = None
    """Where the first error is, for the parameter problem; nothing else counts then."""
    srr: int = 0
    strict: bool = False
    rr: int = 0
    ts: int = 0
    router_alert: int = 0
    cipso: int = 0
    privileged: bool = False
    """Among them is one that only the privileged may set."""


def compiled(options: bytes, received: bool) -> Compiled:
    """Checks the options as ip_options_compile() does. ``received``: of a packet that comes in, not as nft's exthdr reads them (without a
    packet, like those a program sets), where source routes are looked at more closely."""
    found = dict.fromkeys(("srr", "rr", "ts", "router_alert", "cipso"), 0)
    strict = privileged = False
    at = 0
    while at < len(options):
        kind, left, place = options[at], len(options) - at, at + 20
        if kind == END:
            break
        if kind == NOOP:
            at += 1
            continue
        size = options[at + 1] if left >= 2 else 0
        if size < 2 or size > left:
            return Compiled(place)
        pointer = options[at + 2] if size > 2 else 0
        name = {LSRR: "srr", SSRR: "srr", RR: "rr", TIMESTAMP: "ts", CIPSO: "cipso"}.get(kind, "")
        wrong = _wrong(kind, options[at:at + size], received)
        if kind in (RR, TIMESTAMP) and found[name]:
            return Compiled(place)
        if wrong is not None:
            return Compiled(place + wrong)
        if name and found[name]:
            return Compiled(place)
        if name:
            found[name] = place
        strict = kind == SSRR if name == "srr" else strict
        odd_stamps = kind == TIMESTAMP and options[at + 3] & 15 not in (0, 1, 3)
        privileged = privileged or odd_stamps or kind == CIPSO or not (name or kind == RA)
        if kind == RA and not pointer and not options[at + 3]:
            found["router_alert"] = place
        at += size
    return Compiled(None, found["srr"], strict, found["rr"], found["ts"], found["router_alert"], found["cipso"], privileged)


def _wrong(kind: int, option: bytes, received: bool) -> int | None:
    """Offset of the error within one option."""
    size = len(option)
    if kind in _SOURCE_ROUTES:
        if size < 3:
            return 1
        if option[2] < 4:
            return 2
        return 1 if not received and (option[2] != 4 or size < 7 or (size - 3) & 3) else None
    if kind == RR:
        if size < 3:
            return 1
        return 2 if option[2] < 4 or (option[2] <= size and option[2] + 3 > size) else None
    if kind == TIMESTAMP:
        return _wrong_timestamp(option)
    return 1 if kind == RA and size < 4 else None


def _wrong_timestamp(option: bytes) -> int | None:
    size = len(option)
    if size < 4:
        return 1
    if option[2] < 5:
        return 2
    if option[2] <= size:
        room = 7 if option[3] & 15 in (1, 3) else 3
        return 2 if option[2] + 3 > size or option[2] + room > size else None
    return 3 if option[3] & 15 != 3 and option[3] >> 4 == 15 else None


def places(options: bytes) -> Iterator[tuple[int, int, int]]:
    """Offset (from the first option), kind and size of each option up to the end of them, or to one that says no size."""
    at = 0
    while at < len(options):
        kind = options[at]
        size = 1 if kind in (END, NOOP) else options[at + 1] if at + 1 < len(options) else 0
        if not size:
            return
        yield at, kind, size
        if kind == END:
            return
        at += size


def first(options: bytes, kind: int) -> bytes:
    """The first option of a kind, of options that were found right before hosts wrote into them; empty where there is none."""
    return next((options[at:at + size] for at, found, size in places(options) if found == kind), b"")


def unknown_bytes(options: bytes) -> bytes:
    """The bits that are not known of options into which hosts wrote on the way: what is recorded in front of the pointer."""
    mask = bytearray(len(options))
    for at, kind, size in places(options):
        if kind in (RR, TIMESTAMP) and size > 4:
            recorded = at + (3 if kind == RR else 4)
            for place in range(recorded, min(at + options[at + 2] - 1, at + size, len(options))):
                mask[place] = 0xFF
    return bytes(mask)
