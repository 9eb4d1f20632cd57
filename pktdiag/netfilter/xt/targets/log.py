"""LOG: a line in the kernel log. net/netfilter/xt_LOG.c: log_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text

TCPSEQ, TCPOPT, IPOPT, UID, MACDECODE = 0x01, 0x02, 0x04, 0x08, 0x20
DEFAULT_LEVEL = 4


class Log(NamedTuple):
    """struct xt_log_info."""

    level: int
    flags: int
    prefix: str


def decode(rev: int, data: bytes, family: int) -> Log:
    if rev != 0:
        raise UnknownRevisionError
    level, flags, prefix = unpack_from("=BB30s", data)
    return Log(level, flags, text(prefix))


def evaluate(info: Log, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    if rule is not None:
        ctx.services.log_line(ctx, rule, info.prefix, info.level, info.flags, "log")
    return None


def render(info: Log, family: int) -> str:
    parts = [f"--log-prefix {quoted(info.prefix)}"] if info.prefix else []
    if info.level != DEFAULT_LEVEL:
        parts.append(f"--log-level {info.level}")
    for bit, option in ((TCPSEQ, "--log-tcp-sequence"), (TCPOPT, "--log-tcp-options"), (IPOPT, "--log-ip-options"),
                        (UID, "--log-uid"), (MACDECODE, "--log-macdecode")):
        if info.flags & bit:
            parts.append(option)
    return " ".join(parts)
