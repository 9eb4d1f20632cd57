"""ULOG: the old log to user space, gone from the kernel since 3.17."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text


class Ulog(NamedTuple):
    """struct ipt_ulog_info."""

    groups: int
    """1 << (group - 1)."""
    copy_range: int
    threshold: int
    prefix: str


def decode(rev: int, data: bytes, family: int) -> Ulog:
    if rev != 0:
        raise UnknownRevisionError
    groups, copy_range, threshold, prefix = unpack_from("=I4xQQ32s", data)
    return Ulog(groups, copy_range, threshold, text(prefix))


def evaluate(info: Ulog, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return None


def render(info: Ulog, family: int) -> str:
    parts = [f"--ulog-prefix {quoted(info.prefix)}"] if info.prefix else []
    if info.groups != 1:
        parts.append("--ulog-nlgroup " + ",".join(str(bit + 1) for bit in range(32) if info.groups >> bit & 1))
    if info.copy_range:
        parts.append(f"--ulog-cprange {info.copy_range}")
    if info.threshold != 1:
        parts.append(f"--ulog-qthreshold {info.threshold}")
    return " ".join(parts)
