"""ARP answered by the bridge itself: proxy_arp and neigh_suppress ports.

Source: net/bridge/br_arp_nd_proxy.c (br_do_proxy_suppress_arp, br_arp_send).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import ARPOP_REPLY, ARPOP_REQUEST, IFF_NOARP
from pktdiag.model.packet import Arp
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk import bridge_fdb, device, neighbour
from pktdiag.walk.state import Walk


def suppressing(ports: list[Link]) -> bool:
    """BROPT_NEIGH_SUPPRESS_ENABLED: any port has neigh_suppress."""
    return any(port.port.get("neigh_suppress") for port in ports)


def suppress(walk: Walk, ns: NamespaceView, br: Link, port: Link | None, skb: Skb, vid: int) -> None:
    """Answers a request from the bridge's own neighbour table where a port asks for that; sets ``proxyarp_replied``, which
    keeps the request away from such ports."""
    from pktdiag.walk import bridge

    skb.extra.pop("proxyarp_replied", None)
    arp = skb.arp
    ports = bridge.ports(walk, ns, br)
    any_suppress = suppressing(ports)
    wanted = any_suppress or any(item.port.get("proxyarp") or item.port.get("proxy_arp_wifi") for item in ports)
    if not wanted or br.flags & IFF_NOARP or not isinstance(arp, Arp) or addr.is_loopback(arp.target) or addr.is_multicast(arp.target):
        return
    if any_suppress:
        if port is not None and port.port.get("neigh_suppress"):
            return
        if arp.sender == arp.target or (arp.op == ARPOP_REQUEST and addr.is_local(ns, arp.target)):
            skb.extra["proxyarp_replied"] = True
            return
    if arp.op != ARPOP_REQUEST or vid:
        return
    mac = neighbour.known(walk, ns, br, arp.target)
    station = bridge_fdb.find(walk, ns, br, mac, vid) if mac is not None else None
    if mac is None or station is None:
        return
    to = ns.link(station.port) if station.port is not None else None
    replied = (port is not None and bool(port.port.get("proxyarp"))) or (
        to is not None and bool(to.port.get("proxy_arp_wifi") or to.port.get("neigh_suppress")))
    if replied:
        _reply(walk, ns, br, port, mac, arp)
    if replied or any_suppress:
        skb.extra["proxyarp_replied"] = True


def _reply(walk: Walk, ns: NamespaceView, br: Link, port: Link | None, mac: bytes, arp: Arp) -> None:
    """br_arp_send(): back out of the asking port, or up to the asking host."""
    from pktdiag.walk.arp import frame

    reply = frame(ARPOP_REPLY, mac, arp.target, arp.sender_mac, arp.sender, arp.sender_mac)
    if port is not None:
        device.transmit(walk, ns, port, reply)
    else:
        walk.enqueue(lambda: device.receive(walk, ns, br, reply), ns, br, reply)
