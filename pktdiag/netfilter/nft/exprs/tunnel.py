"""tunnel: metadata of the tunnel a packet came out of. net/netfilter/nft_tunnel.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

PATH, ID = 0, 1


class Tunnel(NamedTuple):
    key: int
    dreg: int
    mode: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_tunnel_get_eval: skb_tunnel_info() exists only for collect-metadata tunnel devices."""
        info = run.skb.extra.get("tunnel_info")
        if self.key == PATH:
            regs.store(self.dreg, b"\x01" if info else b"\0")
            return None
        if not info:
            return BREAK
        regs.store_unknown(self.dreg, 4, Var("the tunnel's id", "tunnel id"))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Tunnel:
    return Tunnel(u32(attrs, 1), register(attrs, 2), u32(attrs, 3, 0))
