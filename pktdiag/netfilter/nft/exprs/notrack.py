"""notrack: conntrack shall leave the packet alone. net/netfilter/nft_ct.c: nft_notrack_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import CtState, seen_by_conntrack
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run


class Notrack(NamedTuple):
    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """Only a packet that conntrack has not seen yet."""
        skb = run.skb
        if not seen_by_conntrack(skb):
            skb.ct_state = CtState.UNTRACKED
        return None

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Notrack:
    return Notrack()
