"""multiport: up to 15 ports or ranges. net/netfilter/xt_multiport.c: multiport_mt, ports_match_v1."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range

OPTIONS = ("--sports", "--dports", "--ports")


class Multiport(NamedTuple):
    """struct xt_multiport / _v1."""

    which: int
    """0 source, 1 destination, 2 either."""
    ranges: tuple[tuple[int, int], ...]
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Multiport:
    if rev not in (0, 1):
        raise UnknownRevisionError
    which, count, *ports = unpack_from("=BB15H", data)
    if which > 2 or count > 15:
        raise ValueError("multiport")
    starts, invert = (unpack_from("=15BB", data, 32)[:15], data[47]) if rev == 1 else ((0,) * 15, 0)
    ranges, index = [], 0
    while index < count:
        if starts[index] and index + 1 < 15:
            ranges.append((ports[index], ports[index + 1]))
            index += 2
        else:
            ranges.append((ports[index],) * 2)
            index += 1
    return Multiport(which, tuple(ranges), bool(invert))


def evaluate(info: Multiport, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    ports = (packet.sport,) if info.which == 0 else (packet.dport,) if info.which == 1 else (packet.sport, packet.dport)
    return any(low <= port <= high for low, high in info.ranges for port in ports) != info.invert


def render(info: Multiport, family: int) -> str:
    return f"{bang(info.invert)}{OPTIONS[info.which]} " + ",".join(port_range(*pair) for pair in info.ranges)
