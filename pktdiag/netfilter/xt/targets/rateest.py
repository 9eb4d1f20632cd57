"""RATEEST: estimates a rate under a name. net/netfilter/xt_RATEEST.c: xt_rateest_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, text


class RateEst(NamedTuple):
    """struct xt_rateest_target_info: the interval is 2 ** (interval + 2) times 1/16 of a second... as gen_estimator counts."""

    name: str
    interval: int
    ewma_log: int


def decode(rev: int, data: bytes, family: int) -> RateEst:
    if rev != 0:
        raise UnknownRevisionError
    name, interval, ewma = unpack_from("=16sbB", data)
    return RateEst(text(name), interval, ewma)


def evaluate(info: RateEst, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return None


def _time(microseconds: float) -> str:
    """rateest_print_time of libxt_RATEEST.c."""
    if microseconds >= 1_000_000:
        return f"{microseconds / 1_000_000:.1f}s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.1f}ms"
    return f"{microseconds:.0f}us"


def render(info: RateEst, family: int) -> str:
    interval = 2.0 ** (info.interval + 2) * 1_000_000 / 4 / 4
    return (f"--rateest-name {info.name} --rateest-interval {_time(interval * 4)} "
            f"--rateest-ewmalog {_time(interval * 4 * 2 ** info.ewma_log)}")
