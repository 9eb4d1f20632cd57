"""Which ports of a bridge need not be followed when an ARP request is flooded, because whoever is behind them neither answers nor
passes it on.

A request to a thousand containers costs the walk 3 ms each, and all but one of them only look at it (net/ipv4/arp.c:
arp_process). What tells them apart is read in one visit each (``collect.arp_side``). Rules of theirs that see the request are
not told of then; they change nothing for the packet.
"""

from __future__ import annotations

from pktdiag.model.host import ArpSide, Link
from pktdiag.model.kernel import ARPOP_REQUEST, NFPROTO_ARP, NFPROTO_BRIDGE, NFPROTO_NETDEV, NUD_NOARP, NUD_PERMANENT, NUD_VALID
from pktdiag.model.packet import Arp, in_prefix
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr

FEW = 16
"""So many copies are followed without looking for shortcuts."""


def left_out(ns: NamespaceView, chosen: list[Link], skb: Skb) -> list[Link]:
    """``chosen`` without the ports whose copy of a simulated request makes no difference."""
    arp = skb.arp
    if (len(chosen) <= FEW or not isinstance(arp, Arp) or arp.op != ARPOP_REQUEST or addr.is_any(arp.sender)
            or skb.vlan_tci is not None):
        return chosen
    try:
        if _rules_see_copies(ns):
            return chosen
        nsids = [port.link.nsid for port in chosen if port.link is not None and port.link.nsid is not None]
        peers = ns.peer_namespaces(nsids)
    except Unreadable:
        return chosen
    return [port for port in chosen if not _stands_by(ns, peers.get(port.link.nsid or 0) if port.link is not None
                                                      and port.link.nsid is not None else None, port, arp)]


def _rules_see_copies(ns: NamespaceView) -> bool:
    """Whether rules may count, drop or lead astray single copies on their way out of the bridge."""
    return (any(payload[:1] and payload[0] in (NFPROTO_BRIDGE, NFPROTO_ARP, NFPROTO_NETDEV) for payload in ns.nft_tables())
            or bool(ns.xt_tables(NFPROTO_BRIDGE)) or bool(ns.xt_tables(NFPROTO_ARP)))


def _stands_by(ns: NamespaceView, there: NamespaceView | None, port: Link, arp: Arp) -> bool:
    """Whether the namespace behind the port takes the request and keeps silent, knowing no more than before."""
    if there is None or there.id == ns.id or port.kind != "veth" or port.link is None or not (port.up and port.carrier):
        return False
    try:
        side = there.arp_side(port.link.ifindex, arp.target, arp.sender)
    except Unreadable:
        return False
    return (side is not None and side.alone and not side.proxies
            and not any(in_prefix(arp.target, dst, length) for dst, length in side.local) and not _learns(side, arp))


def _learns(side: ArpSide, arp: Arp) -> bool:
    """Whether the sender's address is news: arp_process() updates an entry that exists and is not kept by hand."""
    known = side.sender
    if known is None or known.state & (NUD_PERMANENT | NUD_NOARP):
        return False
    return known.lladdr != arp.sender_mac or not known.state & NUD_VALID
