"""string: bytes somewhere in the packet. net/netfilter/xt_string.c: string_mt; lib/ts_{bm,kmp,fsm}.c."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.versions import since_6_7
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, text
from pktdiag.netfilter.xt.wire import Wire, wire_of

INVERT, ICASE = 1, 2


class String(NamedTuple):
    """struct xt_string_info; offsets count from the network header."""

    start: int
    stop: int
    algo: str
    pattern: bytes
    invert: bool
    icase: bool


def decode(rev: int, data: bytes, family: int) -> String:
    if rev > 1:
        raise UnknownRevisionError
    start, stop, algo, pattern, length, flags = unpack_from("=HH16s128sBB", data)
    if length > 128:
        raise ValueError("string")
    return String(start, stop, text(algo), pattern[:length], bool(flags & INVERT), rev == 1 and bool(flags & ICASE))


def evaluate(info: String, ctx: HookContext) -> Tri:
    """skb_find_text(): the pattern has to start between the two offsets. Since v6.7 (commit c4eee56e14fe) it has to end before the
    second one, too, and on some kernels before it that had this carried back; where it first stands decides, later ones end later."""
    packet = ctx.skb.packet
    wire = wire_of(packet)
    span = min(info.stop, packet.length) - info.start
    if span < 0 or packet.length - info.start < len(info.pattern):
        return info.invert
    found = _found(info, wire, info.stop)
    if found is not False and info.stop < packet.length:
        within = _found(info, wire, info.stop - len(info.pattern))
        found = within if within == found or since_6_7(ctx.ns) else None
    if found is not None:
        return found != info.invert
    shown = info.pattern.decode("utf-8", "surrogateescape")
    return Unknown(f"the packet {'does not contain' if info.invert else 'contains'} the string {shown!r}")


def _found(info: String, wire: Wire, last: int) -> bool | None:
    """Whether it stands at ``last`` or before; None: bytes that cannot be known may hold it."""
    data, known, pattern = wire.data, wire.known, info.pattern
    if info.icase:
        data, pattern = data.lower(), pattern.lower()
    unsure = len(data) < min(wire.length, last + len(pattern))
    for at in range(info.start, min(last, len(data) - len(pattern)) + 1):
        pairs = zip(data[at:at + len(pattern)], known[at:at + len(pattern)], pattern)
        if all(not (byte ^ wanted) & sure for byte, sure, wanted in pairs):
            if known[at:at + len(pattern)] == b"\xff" * len(pattern):
                return True
            unsure = True
    return None if unsure else False


def render(info: String, family: int) -> str:
    pattern = info.pattern
    if pattern[-1:] == b"\\" or any(byte <= 31 or byte >= 127 for byte in pattern):
        what = f'--hex-string "|{pattern.hex()}|"'
    else:
        escaped = pattern.decode("ascii").replace('"', '\\"')
        what = f'--string "{escaped}"'
    parts = [bang(info.invert) + what, f"--algo {info.algo}"]
    if info.start:
        parts.append(f"--from {info.start}")
    if info.stop != 0xFFFF:
        parts.append(f"--to {info.stop}")
    if info.icase:
        parts.append("--icase")
    return " ".join(parts)
