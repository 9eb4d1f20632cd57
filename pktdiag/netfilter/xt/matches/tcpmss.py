"""tcpmss: the MSS option of a TCP packet. net/netfilter/xt_tcpmss.c: tcpmss_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range, unknown_field


class TcpMss(NamedTuple):
    """struct xt_tcpmss_match_info."""

    low: int
    high: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> TcpMss:
    if rev != 0:
        raise UnknownRevisionError
    low, high, invert = unpack_from("=HHB", data)
    return TcpMss(low, high, bool(invert))


def mss_option(options: bytes) -> int | None:
    """The value of the first well-formed MSS option."""
    position = 0
    while position < len(options):
        kind = options[position]
        if kind == 2 and len(options) - position >= 4 and options[position + 1] == 4:
            return options[position + 2] << 8 | options[position + 3]
        if kind < 2:
            position += 1
        else:
            position += (options[position + 1] if position + 1 < len(options) else 0) or 1
    return None


def evaluate(info: TcpMss, ctx: HookContext) -> Tri:
    """A packet without the option matches only when inverted."""
    unknown = unknown_field(ctx.skb.packet, "tcp_options", f"the packet's MSS lies in {info.low}:{info.high}")
    if unknown is not None:
        return unknown
    mss = mss_option(ctx.skb.packet.tcp_options)
    return info.invert if mss is None else (info.low <= mss <= info.high) != info.invert


def render(info: TcpMss, family: int) -> str:
    return f"{bang(info.invert)}--mss {port_range(info.low, info.high)}"
