"""rateest: compares rates estimated by RATEEST targets. net/netfilter/xt_rateest.c: xt_rateest_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, text

INVERT, ABS, REL, DELTA, BPS, PPS = (1 << bit for bit in range(6))
MODES = {0: "none", 1: "eq", 2: "lt", 3: "gt"}


class RateEst(NamedTuple):
    """struct xt_rateest_match_info; bytes per second here, as in the kernel."""

    name1: str
    name2: str
    flags: int
    mode: int
    bps1: int
    pps1: int
    bps2: int
    pps2: int


def decode(rev: int, data: bytes, family: int) -> RateEst:
    if rev != 0:
        raise UnknownRevisionError
    name1, name2, flags, mode, *rates = unpack_from("=16s16sHH4I", data)
    return RateEst(text(name1), text(name2), flags, mode, *rates)


def evaluate(info: RateEst, ctx: HookContext) -> Tri:
    return Unknown(f"the estimated rates satisfy {render(info, ctx.pf)}")


def _bits(rate: int) -> str:
    """rateest_print_rate of libxt_rateest.c."""
    value = rate * 8.0
    if value >= 1000.0 * 1000000.0:
        return f"{value / 1000000.0:.0f}Mbit"
    if value >= 1000.0 * 1000.0:
        return f"{value / 1000.0:.0f}Kbit"
    return f"{value:.0f}bit"


def render(info: RateEst, family: int) -> str:
    delta, both = info.flags & DELTA, info.flags & REL
    parts = ["--rateest-delta"] if delta else []
    parts.append(f"--rateest{1 if both else ''} {info.name1}")
    mode = f"{bang(info.flags & INVERT)}--rateest-{MODES.get(info.mode, info.mode)}"
    units = [(option, first, second) for flag, option, first, second in
             ((BPS, "bps", _bits(info.bps1), _bits(info.bps2)), (PPS, "pps", str(info.pps1), str(info.pps2))) if info.flags & flag]
    if delta:
        parts += [f"--rateest-{option}1 {first}" for option, first, _ in units]
        parts.append(mode)
        parts += [f"--rateest-{option}2 {second}" for option, _, second in units]
    else:
        parts.append(mode)
        parts += [f"--rateest-{option}" if both else f"--rateest-{option} {second}" for option, _, second in units]
    return " ".join(parts + ([f"--rateest2 {info.name2}"] if both else []))
