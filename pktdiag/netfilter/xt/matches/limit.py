"""limit: a token bucket. net/netfilter/xt_limit.c: limit_mt. How full it is cannot be read (struct xt_limit_priv)."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError

SCALE = 10000
UNITS = ((SCALE * 24 * 60 * 60, "day"), (SCALE * 60 * 60, "hour"), (SCALE * 60, "min"), (SCALE, "sec"))


class Limit(NamedTuple):
    """struct xt_rateinfo: one packet per ``avg`` / 10000 seconds."""

    avg: int
    burst: int


def decode(rev: int, data: bytes, family: int) -> Limit:
    if rev != 0:
        raise UnknownRevisionError
    if len(data) < 40:
        raise ValueError("limit")
    return Limit(*unpack_from("=II", data))


def evaluate(info: Limit, ctx: HookContext) -> Tri:
    return Unknown(f"the rate limit of {rate_text(info.avg)} (burst {info.burst}) has a token left")


def rate_text(period: int, units: tuple[tuple[int, str], ...] = UNITS) -> str:
    """print_rate of libxt_limit.c: the finest unit that still divides well."""
    if period == 0:
        return "inf"
    index = 1
    while index < len(units):
        mult = units[index][0]
        if period > mult or mult // period < mult % period:
            break
        index += 1
    return f"{units[index - 1][0] // period}/{units[index - 1][1]}"


def render(info: Limit, family: int) -> str:
    burst = f" --limit-burst {info.burst}" if info.burst != 5 else ""
    return f"--limit {rate_text(info.avg)}{burst}"
