"""counter: what ``nft list`` shows as packets and bytes. net/netfilter/nft_counter.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import u64


class Counter(NamedTuple):
    packets: int
    bytes: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Counter:
    return Counter(u64(attrs, 2, 0), u64(attrs, 1, 0))
