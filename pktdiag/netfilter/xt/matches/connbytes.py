"""connbytes: how much a connection has carried so far. net/netfilter/xt_connbytes.c: connbytes_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.conntrack import accounting
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError

WHATS, DIRECTIONS = ("packets", "bytes", "avgpkt"), ("original", "reply", "both")


class ConnBytes(NamedTuple):
    """struct xt_connbytes_info; inverted where ``low`` > ``high``."""

    low: int
    high: int
    what: int
    direction: int


def decode(rev: int, data: bytes, family: int) -> ConnBytes:
    if rev != 0:
        raise UnknownRevisionError
    info = ConnBytes(*unpack_from("=QQBB", data))
    if info.what > 2 or info.direction > 2:
        raise ValueError("connbytes")
    return info


def evaluate(info: ConnBytes, ctx: HookContext) -> Tri:
    """A connection without counters does not match."""
    skb = ctx.skb
    if skb.ct is None or skb.ct_state is None:
        return False
    counts = accounting.counts(ctx.ns, skb.ct)
    if counts is None:
        return Unknown(f"the connection has carried {render(info, ctx.pf)}")
    if not counts:
        return False
    packets, octets = accounting.of_direction(counts, info.direction)
    value = (packets, octets, octets // packets if packets else 0)[info.what]
    return info.low <= value <= info.high if info.high >= info.low else value < info.high or value > info.low


def render(info: ConnBytes, family: int) -> str:
    low, high = min(info.low, info.high), max(info.low, info.high)
    span = f"{low}" if high == 0xFFFFFFFFFFFFFFFF else f"{low}:{high}"
    return (f"{'! ' if info.low > info.high else ''}--connbytes {span} --connbytes-mode {WHATS[info.what]} "
            f"--connbytes-dir {DIRECTIONS[info.direction]}")
