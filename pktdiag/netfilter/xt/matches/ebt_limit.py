"""ebtables limit: a token bucket. net/bridge/netfilter/ebt_limit.c: ebt_limit_mt. Its level cannot be read."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.netfilter.xt.matches.limit import Limit, evaluate, rate_text

__all__ = ["decode", "evaluate", "render"]


def decode(rev: int, data: bytes, family: int) -> Limit:
    return Limit(*unpack_from("=II", data))


def render(info: Limit, family: int) -> str:
    return f"--limit {rate_text(info.avg)} --limit-burst {info.burst}"
