"""NFLOG: a copy to a program listening on a log group. net/netfilter/xt_NFLOG.c: nflog_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text


class NfLog(NamedTuple):
    """struct xt_nflog_info."""

    length: int
    group: int
    threshold: int
    flags: int
    prefix: str


def decode(rev: int, data: bytes, family: int) -> NfLog:
    if rev != 0:
        raise UnknownRevisionError
    length, group, threshold, flags, prefix = unpack_from("=IHHH2x64s", data)
    return NfLog(length, group, threshold, flags, text(prefix))


def evaluate(info: NfLog, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    if rule is not None:
        ctx.services.log_line(ctx, rule, info.prefix, 0, info.group, "nflog")
    return None


def render(info: NfLog, family: int) -> str:
    parts = [f"--nflog-prefix {quoted(info.prefix)}"] if info.prefix else []
    if info.group:
        parts.append(f"--nflog-group {info.group}")
    if info.flags & 1:
        parts.append(f"--nflog-size {info.length}")
    elif info.length:
        parts.append(f"--nflog-range {info.length}")
    if info.threshold:
        parts.append(f"--nflog-threshold {info.threshold}")
    return " ".join(parts)
