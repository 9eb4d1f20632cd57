"""NFQUEUE: hands the packet to a program. net/netfilter/xt_NFQUEUE.c: nfqueue_tg, _v1, _v2, _v3."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

BYPASS, CPU_FANOUT = 1, 2


class NfQueue(NamedTuple):
    """struct xt_NFQ_info .. _v3."""

    number: int
    total: int
    flags: int


def decode(rev: int, data: bytes, family: int) -> NfQueue:
    if rev > 3:
        raise UnknownRevisionError
    number, total, flags = (*unpack_from("=" + "H" * (1, 2, 3, 3)[rev], data), 1, 0)[:3] if rev < 2 else unpack_from("=HHH", data)
    return NfQueue(number, total, flags)


def evaluate(info: NfQueue, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    """nf_queue(): the packet waits for a verdict; with nobody listening it is dropped, or with bypass goes on."""
    which = f"queue {info.number}" if info.total < 2 else f"one of the queues {info.number} to {info.number + info.total - 1}"
    bypass = " (bypassed when nobody listens)" if info.flags & BYPASS else ""
    return HookResult("queue", "NETFILTER_DROP", rule, f"handed to the program on {which}{bypass}", cause="nfqueue",
                      queues=(info.number, max(info.total, 1), bool(info.flags & BYPASS)))


def render(info: NfQueue, family: int) -> str:
    if info.total > 1:
        text = f"--queue-balance {info.number}:{info.number + info.total - 1}"
    else:
        text = f"--queue-num {info.number}"
    return text + (" --queue-bypass" if info.flags & BYPASS else "") + (" --queue-cpu-fanout" if info.flags & CPU_FANOUT else "")
