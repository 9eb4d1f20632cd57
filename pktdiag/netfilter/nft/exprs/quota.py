"""quota: bytes used up so far, which the kernel does report. net/netfilter/nft_quota.c: nft_quota_do_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import u32, u64


class Quota(NamedTuple):
    bytes: int
    inverted: bool
    consumed: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """The packet is counted first; ``consumed`` is dumped capped at the quota (nft_quota_do_dump)."""
        over = self.consumed + run.skb.packet.length >= self.bytes
        return BREAK if over != self.inverted else None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Quota:
    return Quota(u64(attrs, 1), bool(u32(attrs, 2, 0) & 1), u64(attrs, 4, 0))
