"""fwd: moves the frame to another device at ingress. net/netfilter/nft_fwd_netdev.c"""

from __future__ import annotations

import sys

from pktdiag.model.kernel import ETH_P_IP, ETH_P_IPV6, NFPROTO_IPV4
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookResult
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, NF_STOLEN, Verdict
from pktdiag.netfilter.nft.wire import optional_register, register, u32


class Fwd(NamedTuple):
    device: int
    addr: int | None
    nfproto: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_fwd_netdev_eval / nft_fwd_neigh_eval: the frame leaves through the named device and is gone here; to a neighbour with one
        hop less."""
        index = int.from_bytes(regs.load(self.device, 4), sys.byteorder)
        link = run.ns.link(index)
        skb = run.skb
        name = link.name if link else f"interface {index}"
        if self.addr is not None:
            size = 4 if self.nfproto == NFPROTO_IPV4 else 16
            if skb.ethertype != (ETH_P_IP if size == 4 else ETH_P_IPV6) or skb.arp is not None:
                return BREAK
            skb.packet = skb.packet._replace(ttl=max(skb.packet.ttl - 1, 0))
            skb.extra["nft_fwd_to"] = regs.load(self.addr, size)
        skb.extra["nft_fwd"] = index
        return Verdict(NF_STOLEN, "", HookResult("stolen", "", None, f"forwards the frame to {name}", None, "nft-fwd"))

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Fwd:
    return Fwd(register(attrs, 1), optional_register(attrs, 2), u32(attrs, 3, 0))
