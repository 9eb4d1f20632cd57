"""rt: properties of the route already chosen. net/netfilter/nft_rt.c"""

from __future__ import annotations

import sys

from pktdiag.model.host import Link
from pktdiag.model.kernel import NF_INET_PRE_ROUTING, NFPROTO_IPV4, NFPROTO_IPV6, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

TCP_MSS_DEFAULT = 536
LOOPBACK_MTU, IP6_MAX_MTU, LOOPBACK_IFINDEX = 65535, 65575, 1
"""dst_mtu() of a local route: the loopback device's, cut to IP_MAX_MTU (ipv4_mtu, ip6_mtu)."""
CLASSID, NEXTHOP4, NEXTHOP6, TCPMSS, XFRM = range(5)


class Rt(NamedTuple):
    key: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_rt_get_eval: without a route (dst) the rule breaks."""
        route = run.skb.route
        if route is None and (run.skb.physin is None or run.ctx.hook == NF_INET_PRE_ROUTING):
            return BREAK
        # A bridged packet bears br_netfilter's own entry, which has no gateway (br_nf_pre_routing_finish: fake_rtable).
        packet = run.skb.packet
        gateway = getattr(route, "gateway", None)
        if self.key == XFRM:
            regs.store(self.dreg, b"\0")
        elif self.key == CLASSID:
            from pktdiag.netfilter.realms import realm

            known = realm(run.ns, packet.family)
            if known is None:
                regs.store_unknown(self.dreg, 4, Var("the realm of the route", "rtclassid"))
            else:
                regs.store(self.dreg, known.to_bytes(4, sys.byteorder))
        elif self.key in (NEXTHOP4, NEXTHOP6):
            if run.pf != (NFPROTO_IPV4 if self.key == NEXTHOP4 else NFPROTO_IPV6):
                return BREAK
            # rt_nexthop / rt6_nexthop: the gateway, or the destination itself when it is on-link
            if route is None and self.key == NEXTHOP6:  # fake_rtable is an IPv4 one, read as an IPv6 one
                regs.store_unknown(self.dreg, 16, Var("what stands for the route of a bridged packet", "fake_rtable"))
            else:
                regs.store(self.dreg, gateway or packet.dst)
        elif self.key == TCPMSS:
            index = getattr(route, "oif", 0)  # rules may have changed the way since the hook was entered
            self._tcpmss(regs, run, getattr(route, "mtu", None), (run.ns.link(index) if index else None) or run.ctx.outdev)
        return None

    def _tcpmss(self, regs: Registers, run: Run, mtu: int | None, way: Link | None) -> None:
        """get_tcpmss(), which minds neither the protocol nor whether the packet is a SYN: the smaller MTU of the way there and of the
        way back; what does not fit into 16 bits or leaves nothing is TCP_MSS_DEFAULT."""
        packet = run.skb.packet
        back = run.services.fib_lookup(run.ctx, packet.src, None)
        if (way is None and not mtu) or isinstance(back, Unknown):
            regs.store_unknown(self.dreg, 2, Var("the MTU of the route", "rt mtu"))
            return
        most = LOOPBACK_MTU if len(packet.dst) == 4 else IP6_MAX_MTU
        least = mtu or _mtu(way, most)
        if back.oif is not None and back.type in (RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST):
            least = min(least, _mtu(run.ns.link(LOOPBACK_IFINDEX if back.type == RTN_LOCAL else back.oif), most))
        overhead = 40 if len(packet.dst) == 4 else 60
        regs.store(self.dreg, (least - overhead if overhead < least <= 0xFFFF else TCP_MSS_DEFAULT).to_bytes(2, sys.byteorder))

    def acts(self) -> bool:
        return False


def _mtu(link: Link | None, most: int) -> int:
    """ipv4_mtu(), ip6_mtu()"""
    return min(link.mtu, most) if link is not None else most


def decode(attrs: dict[int, bytes]) -> Rt:
    return Rt(u32(attrs, 2), register(attrs, 1))
