"""Multicast on a bridge: IGMP/MLD snooping decides between flooding and the ports that asked.

Source: net/bridge/br_multicast.c (br_multicast_rcv, br_mdb_entry_skb_get), br_private.h (br_multicast_querier_exists),
br_forward.c (br_multicast_flood).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, IPPROTO_ICMPV6, IPPROTO_IGMP
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk.state import Walk

ROUTER_DISABLED, ROUTER_TEMP_QUERY, ROUTER_PERM, ROUTER_TEMP = range(4)
_MLD = frozenset((130, 131, 132, 143))


class Group(NamedTuple):
    """Where a snooped group goes."""

    ports: frozenset[int]
    host: bool
    """The bridge itself joined, or is a multicast router."""


def group(walk: Walk, ns: NamespaceView, br: Link, ports: list[Link], skb: Skb, vid: int) -> Group | None:
    """The ports a multicast frame is limited to; None: it is flooded. Without a querier there is no reason to believe
    that everybody interested has reported, so the kernel floods."""
    if not br.data.get("mcast_snooping") or skb.ethertype == ETH_P_ARP or skb.ethertype not in (ETH_P_IP, ETH_P_IPV6):
        return None
    packet = skb.packet
    v4 = skb.ethertype == ETH_P_IP
    if packet.proto == IPPROTO_IGMP or (packet.proto == IPPROTO_ICMPV6 and packet.icmp_type in _MLD):
        return None
    members = [entry for entry in ns.mdb(br.ifindex) if entry.dst == packet.dst and entry.vlan in (0, vid)]
    routers_only = packet.dst[:3] != b"\xe0\0\0" if v4 else packet.dst != b"\xff\x02" + bytes(13) + b"\1"
    if not members and not routers_only:
        return None
    if not _querier(walk, ns, br, v4):
        return None
    routers = {port.ifindex for port in ports if port.port.get("multicast_router") in (ROUTER_PERM, ROUTER_TEMP)}
    return Group(frozenset(entry.ifindex for entry in members) | routers,
                 any(entry.ifindex == br.ifindex for entry in members) or br.data.get("mcast_router") == ROUTER_PERM)


def _querier(walk: Walk, ns: NamespaceView, br: Link, v4: bool) -> bool:
    """br_multicast_querier_exists(): the bridge's own, or one heard of (which nothing reports: taken as absent)."""
    if br.data.get("mcast_querier"):
        return True
    walk.assume(f"no {'IGMP' if v4 else 'MLD'} querier has been heard on bridge {br.name}, so it floods multicast")
    return False


def describe(skb: Skb, found: Group) -> str:
    return f"multicast group {format_address(skb.packet.dst)} goes to the {len(found.ports)} ports that asked for it"
