"""last: remembers when a packet last came by. net/netfilter/nft_last.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import u32, u64


class Last(NamedTuple):
    used: bool
    milliseconds: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Last:
    return Last(bool(u32(attrs, 1, 0)), u64(attrs, 2, 0))
