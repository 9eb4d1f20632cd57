"""statistic: a draw, or every nth packet. net/netfilter/xt_statistic.c: statistic_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

RANDOM, NTH = 0, 1


class Statistic(NamedTuple):
    """struct xt_statistic_info."""

    mode: int
    invert: bool
    probability: int
    """Of 0x80000000."""
    every: int
    packet: int


def decode(rev: int, data: bytes, family: int) -> Statistic:
    if rev != 0:
        raise UnknownRevisionError
    mode, flags, first, second = unpack_from("=HHII", data)
    if mode > NTH:
        raise ValueError("statistic")
    return Statistic(mode, bool(flags & 1), first if mode == RANDOM else 0, first if mode == NTH else 0, second if mode == NTH else 0)


def evaluate(info: Statistic, ctx: HookContext) -> Tri:
    """The kernel compares 31 random bits with the probability; the position in the nth count cannot be read."""
    if info.mode == RANDOM:
        if info.probability in (0, 0x80000000):
            return bool(info.probability) != info.invert
        chance = info.probability / 0x80000000
        return Unknown(f"a random draw (probability {1 - chance if info.invert else chance:.4g}) comes out true")
    if info.every == 0:
        return not info.invert
    return Unknown(f"it is {'not ' if info.invert else ''}the packet picked out of every {info.every + 1}")


def render(info: Statistic, family: int) -> str:
    if info.mode == RANDOM:
        return f"--mode random {bang(info.invert)}--probability {info.probability / 0x80000000:.11f}"
    return f"--mode nth {bang(info.invert)}--every {info.every + 1} --packet {info.packet}"
