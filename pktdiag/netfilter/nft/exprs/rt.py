"""rt: properties of the route already chosen. net/netfilter/nft_rt.c"""

from __future__ import annotations

import sys

from pktdiag.model.kernel import IPPROTO_TCP, NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

CLASSID, NEXTHOP4, NEXTHOP6, TCPMSS, XFRM = range(5)


class Rt(NamedTuple):
    key: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_rt_get_eval: without a route (dst) the rule breaks."""
        route = run.skb.route
        if route is None:
            return BREAK
        packet = run.skb.packet
        gateway = getattr(route, "gateway", None)
        if self.key == XFRM:
            regs.store(self.dreg, b"\0")
        elif self.key == CLASSID:
            regs.store_unknown(self.dreg, 4, Var("the realm of the route", "rtclassid"))
        elif self.key in (NEXTHOP4, NEXTHOP6):
            if run.pf != (NFPROTO_IPV4 if self.key == NEXTHOP4 else NFPROTO_IPV6):
                return BREAK
            # rt_nexthop / rt6_nexthop: the gateway, or the destination itself when it is on-link
            regs.store(self.dreg, gateway or packet.dst)
        elif self.key == TCPMSS:
            if packet.proto != IPPROTO_TCP:
                return BREAK
            mtu = getattr(route, "mtu", None) or (run.ctx.outdev.mtu if run.ctx.outdev else 0)
            if not mtu:
                regs.store_unknown(self.dreg, 2, Var("the MTU of the route", "rt mtu"))
            else:
                overhead = 40 if len(packet.dst) == 4 else 60
                regs.store(self.dreg, (mtu - overhead if mtu > overhead else 0).to_bytes(2, sys.byteorder))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Rt:
    return Rt(u32(attrs, 2), register(attrs, 1))
