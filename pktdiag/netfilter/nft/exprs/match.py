"""match: an xtables match with its own blob (iptables-nft). net/netfilter/nft_compat.c: nft_match_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, DROP
from pktdiag.netfilter.nft.wire import string, u32


class Match(NamedTuple):
    name: str
    revision: int
    info: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        from pktdiag.netfilter.xt.base import HOTDROP
        from pktdiag.netfilter.xt.compat import DRAWS, evaluate_match

        matched = evaluate_match(self.name, self.revision, self.info, run.ctx)
        if isinstance(matched, Unknown):
            return Doubt(matched, None if self.name in DRAWS else ("match", self.name, self.info, matched.condition))
        if run.skb.extra.pop(HOTDROP, None):
            return DROP
        return None if matched else BREAK

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Match:
    return Match(string(attrs, 1), u32(attrs, 2, 0), attrs.get(3, b""))
