"""What a namespace has learned about one destination since its routes were written: a path MTU, another gateway.

ICMP "fragmentation needed" and redirects leave an exception on the next hop of the route (net/ipv4/route.c: update_or_create_fnhe,
rt_bind_exception; net/ipv6/route.c: rt6_insert_exception, rt6_find_cached_rt). Routes dumped do not show it, RTM_GETROUTE for the one
destination does.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, AF_INET6
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.walk import addresses as addr
from pktdiag.walk.route import RouteResult

SMALLEST_PMTU, IPV6_MIN_MTU = 552, 1280
"""net.ipv4.route.min_pmtu as the kernel has it: no smaller path MTU is believed."""


class Way(NamedTuple):
    """How a packet leaves, learned things included."""

    next_hop: bytes
    mtu: int
    limit: str
    """Whose ``mtu`` it is: "the MTU 1500 of eth0"."""
    text: str = ""
    """What was learned, a clause; "" when nothing was."""


def way_of(ns: NamespaceView, out: Link, packet: Packet, decision: RouteResult, *, forwarded: bool) -> Way:
    """ip_skb_dst_mtu(), ip6_skb_dst_mtu(), rt_nexthop() of a packet on its way out of ``out``."""
    v4 = packet.family == AF_INET
    hop = decision.next_hop(packet)
    own = decision.mtu
    if own is not None:
        mtu, limit = own, f"the MTU {own} of the route"
    else:
        mtu, limit = out.mtu, f"the MTU {out.mtu} of {out.name}"
    smallest = SMALLEST_PMTU if v4 else IPV6_MIN_MTU
    match = decision.match
    if decision.kind != "unicast" or match is None or match.route is None or (decision.gateway is None and packet.length <= smallest):
        return Way(hop, mtu, limit)
    rule = match.rule
    found = ns.learned_route(packet, out.ifindex, rule.fwmark if rule is not None and not rule.invert else 0, not forwarded)
    if found is None or len(found.nexthops) != 1 or found.nexthops[0].ifindex != out.ifindex or found.table != match.route.table:
        return Way(hop, mtu, limit)  # another way than ours: policy rules that ask for more than can be asked with
    said = []
    gateway = found.nexthops[0].gateway
    if gateway is not None and gateway not in (hop, *(one.gateway for one in match.route.nexthops)):
        hop = gateway
        said.append(f"an ICMP redirect made {format_address(gateway)} the gateway")
    if found.mtu is not None and found.mtu != own and _counts(ns, v4, forwarded, found.mtu_locked):
        mtu, limit = found.mtu, f"the path MTU {found.mtu} learned for {format_address(packet.dst)}"
        said.append(f"its path MTU was learned to be {found.mtu}")
    return Way(hop, mtu, limit, " and ".join(said))


def _counts(ns: NamespaceView, v4: bool, forwarded: bool, locked: bool) -> bool:
    """ip_dst_mtu_maybe_forward(): routers do not believe what they learn, unless told to or where it is too small to be raised."""
    return not forwarded or not v4 or locked or ns.sysctl("net/ipv4/ip_forward_use_pmtu") == "1"


def forward_limit(ns: NamespaceView, out: Link, packet: Packet, decision: RouteResult) -> Way:
    """What ip_forward() and ip6_forward() hold the packet against, before their hook. IPv6 takes the device's own setting there, unless
    the route's is locked (ip6_dst_mtu_maybe_forward); the route's follows when it is sent."""
    if packet.family == AF_INET or decision.mtu_locked:
        way = way_of(ns, out, packet, decision, forwarded=True)
        return way if packet.family == AF_INET else way._replace(mtu=max(way.mtu, IPV6_MIN_MTU))
    mtu = out.mtu
    if packet.length > IPV6_MIN_MTU:
        mtu = max(addr.conf(ns, AF_INET6, out.name, "mtu") or out.mtu, IPV6_MIN_MTU)
    return Way(decision.next_hop(packet), mtu, f"the MTU {mtu} of {out.name}")
