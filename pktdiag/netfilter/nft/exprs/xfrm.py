"""ipsec: the security association a packet came through or will go through. net/netfilter/nft_xfrm.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u8, u32

DADDR_IP4, DADDR_IP6, SADDR_IP4, SADDR_IP6, REQID, SPI = range(1, 7)
_LENGTHS = {DADDR_IP4: 4, SADDR_IP4: 4, DADDR_IP6: 16, SADDR_IP6: 16, REQID: 4, SPI: 4}


class Xfrm(NamedTuple):
    dreg: int
    key: int
    direction: int
    spnum: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_xfrm_get_eval: a packet without a secpath (in) or a transformed route (out) breaks the rule."""
        if not run.skb.extra.get("secpath" if self.direction == 0 else "xfrm_out"):
            return BREAK
        regs.store_unknown(self.dreg, _LENGTHS.get(self.key, 4), Var("the packet's security association", ("xfrm", self)))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Xfrm:
    return Xfrm(register(attrs, 1), u32(attrs, 2), u8(attrs, 3), u32(attrs, 4, 0))
