"""recent: lists of addresses seen lately. net/netfilter/xt_recent.c: recent_mt. The lists are in /proc/net/xt_recent."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET6
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, inet, text

CHECK, SET, UPDATE, REMOVE, TTL, REAP = 1, 2, 4, 8, 16, 32


class Recent(NamedTuple):
    """struct xt_recent_mtinfo / _v1."""

    seconds: int
    hits: int
    flags: int
    invert: bool
    name: str
    destination: bool
    mask: bytes | None


def decode(rev: int, data: bytes, family: int) -> Recent:
    if rev > 1:
        raise UnknownRevisionError
    seconds, hits, flags, invert, name, side = unpack_from("=IIBB200sB", data)
    mask = inet(data, 212, family) if rev == 1 else b"\xff" * (16 if family == AF_INET6 else 4)
    return Recent(seconds, hits, flags, bool(invert), text(name), bool(side), mask)


def _memory(ctx: HookContext) -> dict[tuple[str, str, int], bool]:
    """What this walk did to the lists on its way: (namespace, list, masked address) -> listed."""
    memory: dict[tuple[str, str, int], bool] = ctx.services.conns.setdefault("xt_recent", {})  # type: ignore[assignment]
    return memory


def evaluate(info: Recent, ctx: HookContext) -> Tri:
    """--set always holds; the others depend on the list, which this view does not read."""
    packet = ctx.skb.packet
    address = packet.dst if info.destination else packet.src
    masked = int.from_bytes(address, "big") & int.from_bytes(info.mask or b"", "big")
    key, memory = (ctx.ns.id, info.name, masked), _memory(ctx)
    if info.flags & SET:
        memory[key] = True
        return not info.invert
    listed = memory.get(key)
    if listed is False:
        return info.invert
    if listed and info.hits <= 1 and not info.flags & TTL:
        if info.flags & REMOVE:
            memory[key] = False
        return not info.invert
    what = f"{format_address(address)} is{' not' if info.invert else ''} on the list {info.name} of xt_recent"
    if info.hits:
        what += f" with {info.hits} or more hits"
    return Unknown(what + (f" in the last {info.seconds} seconds" if info.seconds else ""))


def render(info: Recent, family: int) -> str:
    invert = bang(info.invert)
    parts = []
    for flag, option in ((SET, "--set"), (CHECK, "--rcheck"), (UPDATE, "--update"), (REMOVE, "--remove")):
        if info.flags & flag:
            parts.append(invert + option)
    if info.seconds:
        parts.append(f"--seconds {info.seconds}")
    if info.flags & REAP:
        parts.append("--reap")
    if info.hits:
        parts.append(f"--hitcount {info.hits}")
    if info.flags & TTL:
        parts.append("--rttl")
    if info.name:
        parts.append(f"--name {info.name}")
    if info.mask is not None:
        parts.append(f"--mask {format_address(info.mask)}")
    parts.append("--rdest" if info.destination else "--rsource")
    return " ".join(parts)
