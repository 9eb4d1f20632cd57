"""quota: bytes used up so far, which the kernel does report. net/netfilter/nft_quota.c: nft_quota_do_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import u32, u64


class Quota(NamedTuple):
    bytes: int
    inverted: bool
    consumed: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        rule = run.rule
        where = (rule.table, rule.chain, rule.handle) if rule is not None else ()
        return self.charge(run, ("nft quota", run.ns.id, run.family, *where))

    def charge(self, run: Run, key: object) -> Outcome:
        """The packet is counted first; ``consumed`` is dumped capped at the quota (nft_quota_do_dump). What this walk has used up
        already is remembered under ``key``."""
        before = run.services.conns.get(key, 0)
        used = (before if isinstance(before, int) else 0) + run.skb.packet.length
        run.services.conns[key] = used
        left = self.bytes - self.consumed - used
        if not left:  # exceeded up to 6.15, not yet since ("match correctly when the quota just depleted", also in stable kernels)
            return Doubt(Unknown("a quota that is used up to the last byte counts as exceeded in this kernel"), "quota exactly used")
        return BREAK if (left < 0) != self.inverted else None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Quota:
    return Quota(u64(attrs, 1), bool(u32(attrs, 2, 0) & 1), u64(attrs, 4, 0))
