"""ct count: connections counted by the rule itself, which the kernel does not report. net/netfilter/nft_connlimit.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown, attached, countable
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import DROP
from pktdiag.netfilter.nft.wire import u32


class Connlimit(NamedTuple):
    limit: int
    inverted: bool

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_connlimit_do_eval"""
        if not countable(run.skb):
            return DROP
        relation = "more than" if self.inverted else "at most"
        of = run.skb.packet
        # What has no connection is counted by its own addresses and ports (nf_conncount_add_skb), neighbour discovery before the packet
        # that waits for it: one of them may be below the limit, and the next above.
        alone = None if attached(run.skb)[0] is not None else (of.src, of.dst, of.proto, of.icmp_type, of.sport, of.dport)
        when = " when neighbour discovery comes to it" if "ndisc" in run.skb.extra else ""
        return Doubt(Unknown(f"the rule has counted {relation} {self.limit} connections{when}"), ("connlimit", id(run.rule), self, alone))

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Connlimit:
    return Connlimit(u32(attrs, 1), bool(u32(attrs, 2, 0) & 1))
