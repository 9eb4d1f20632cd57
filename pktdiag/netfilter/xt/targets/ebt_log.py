"""ebtables log: a line in the kernel log. net/bridge/netfilter/ebt_log.c: ebt_log_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import text

IP, ARP, NFLOG, IP6 = 1, 2, 4, 8
LEVELS = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")


class EbtLog(NamedTuple):
    """struct ebt_log_info."""

    level: int
    prefix: str
    bitmask: int


def decode(rev: int, data: bytes, family: int) -> EbtLog:
    level, prefix, bitmask = unpack_from("=B30sxI", data)
    return EbtLog(level, text(prefix), bitmask)


def evaluate(info: EbtLog, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    if rule is not None:
        ctx.services.log_line(ctx, rule, info.prefix, info.level, info.bitmask, "ebtables")
    return None


def render(info: EbtLog, family: int) -> str:
    parts = [f"--log-level {LEVELS[info.level] if info.level < 8 else info.level}"]
    if info.prefix:
        parts.append(f'--log-prefix "{info.prefix}"')
    for bit, option in ((IP, "--log-ip"), (ARP, "--log-arp"), (IP6, "--log-ip6")):
        if info.bitmask & bit:
            parts.append(option)
    return " ".join(parts)
