"""IDLETIMER: tells user space when a rule has been idle. net/netfilter/xt_IDLETIMER.c: idletimer_tg_target."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, text


class IdleTimer(NamedTuple):
    """struct idletimer_tg_info / _v1."""

    timeout: int
    label: str
    alarm: bool
    send: bool


def decode(rev: int, data: bytes, family: int) -> IdleTimer:
    if rev > 1:
        raise UnknownRevisionError
    timeout, label = unpack_from("=I28s", data)
    send, kind = (data[32], data[33]) if rev else (0, 0)
    return IdleTimer(timeout, text(label), bool(kind & 1), bool(send))


def evaluate(info: IdleTimer, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return None


def render(info: IdleTimer, family: int) -> str:
    parts = [f"--timeout {info.timeout}", f"--label {info.label}"]
    if info.alarm:
        parts.append("--alarm")
    if info.send:
        parts.append("--send_nl_msg")
    return " ".join(parts)
