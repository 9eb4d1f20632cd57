"""queue: hands the packet to a program in user space. net/netfilter/nft_queue.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookResult
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import NF_QUEUE, Verdict
from pktdiag.netfilter.nft.wire import optional_register, u16

BYPASS, CPU_FANOUT = 1, 2


class Queue(NamedTuple):
    number: int
    total: int
    flags: int
    sreg: int | None

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        bypass = " or, with nobody listening there, lets it pass (bypass)" if self.flags & BYPASS else ""
        where = "a queue" if self.sreg is not None else f"queue {self.number}" + (
            f"-{self.number + self.total - 1}" if self.total > 1 else "")
        queues = (self.number, max(self.total, 1), bool(self.flags & BYPASS)) if self.sreg is None else None
        return Verdict(NF_QUEUE, "", HookResult("queue", "", None, f"hands the packet to {where}{bypass}", queues=queues))

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Queue:
    return Queue(u16(attrs, 1, 0), u16(attrs, 2, 1), u16(attrs, 3, 0), optional_register(attrs, 4))
