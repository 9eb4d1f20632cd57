"""connlimit: how many connections a network has open. net/netfilter/xt_connlimit.c: connlimit_mt.

The kernel counts in a tree of its own (nf_conncount.c) that nothing shows.
"""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET6
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown, countable
from pktdiag.netfilter.xt.base import UnknownRevisionError, hotdrop

INVERT, DADDR = 1, 2


class ConnLimit(NamedTuple):
    """struct xt_connlimit_info; ``prefix``: bits set in the mask."""

    prefix: int
    limit: int
    flags: int


def decode(rev: int, data: bytes, family: int) -> ConnLimit:
    if rev != 1:
        raise UnknownRevisionError
    mask, limit, flags = unpack_from("=16sII", data)
    return ConnLimit(int.from_bytes(mask if family == AF_INET6 else mask[:4], "big").bit_count(), limit, flags)


def evaluate(info: ConnLimit, ctx: HookContext) -> Tri:
    if not countable(ctx.skb):
        return hotdrop(ctx)
    side = "destination" if info.flags & DADDR else "source"
    more = "at most" if info.flags & INVERT else "more than"
    whose = "neighbour discovery's" if "ndisc" in ctx.skb.extra else "its"  # counted by itself, before the packet that waits for it
    return Unknown(f"{whose} {side} network (/{info.prefix}) has {more} {info.limit} connections open through this rule")


def render(info: ConnLimit, family: int) -> str:
    return (f"--connlimit-{'upto' if info.flags & INVERT else 'above'} {info.limit} --connlimit-mask {info.prefix} "
            f"--connlimit-{'d' if info.flags & DADDR else 's'}addr")
