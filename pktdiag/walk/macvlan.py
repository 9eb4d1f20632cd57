"""macvlan and macvtap: several stations on one device. ipvlan: several IP addresses behind one station.

Source: drivers/net/macvlan.c (macvlan_handle_frame, macvlan_queue_xmit, macvlan_broadcast, macvlan_compute_filter).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import IFF_ALLMULTI, IFF_PROMISC, PACKET_BROADCAST, PACKET_HOST, PACKET_LOOPBACK, PACKET_MULTICAST
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk import device, ethernet, uppers, xmit
from pktdiag.walk.rx_handlers import Handled
from pktdiag.walk.state import Walk

Upper = tuple[NamespaceView, Link]


def _mode(link: Link) -> str:
    return str(link.data.get("mode", "bridge"))


def _with_mac(above: list[Upper], mac: bytes) -> Upper | None:
    """macvlan_hash_lookup()"""
    return next((upper for upper in above if upper[1].mac == mac and upper[1].up), None)


def handle_frame(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, above: list[Upper]) -> Handled:
    """macvlan_handle_frame()"""
    if skb.pkt_type == PACKET_LOOPBACK:
        return "pass"
    if any(link.kind.startswith("ipv") for _, link in above):
        names = ", ".join(link.name for _, link in above)
        walk.unsure(ns, "macvlan", dev, skb, f"which of the ipvlan devices on {dev.name} ({names}) takes it, which is not modelled")
        return "consumed"
    if any(_mode(link) == "source" for _, link in above):
        walk.unsure(ns, "macvlan", dev, skb, f"what the macvlan devices in source mode on {dev.name} take, which is not modelled")
        return "consumed"
    if ethernet.is_multicast(skb.dst_mac):
        return _multicast(walk, ns, dev, skb, above)
    target = above[0] if _mode(above[0][1]) == "passthru" else _with_mac(above, skb.dst_mac)
    if target is None:
        return "pass"
    if not target[1].up:
        walk.drop(target[0], "macvlan", target[1], skb, "NOT_SPECIFIED", f"{target[1].name} is down.", cause="device-down")
        return "consumed"
    walk.step(target[0], "macvlan", target[1], f"The frame is for {target[1].name}, a macvlan on {dev.name}.")
    skb.pkt_type = PACKET_HOST
    return target


def _multicast(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, above: list[Upper]) -> Handled:
    """The frame's own sender may be one of ours, come back from the wire."""
    sender = _with_mac(above, skb.src_mac)
    if sender is not None and _mode(sender[1]) not in ("vepa", "bridge"):
        taken = skb.copy()
        _hand_over(walk, sender, taken)
        return "consumed"
    for upper in above:
        if not _listens(walk, upper, skb.dst_mac):
            continue
        if sender is not None and upper[1].ifindex == sender[1].ifindex and upper[0].id == sender[0].id:
            continue
        # bridge ports saw a bridge port's frame on its way out already
        if sender is not None and _mode(upper[1]) != "vepa" and not (_mode(sender[1]) == "vepa" and _mode(upper[1]) == "bridge"):
            continue
        if upper[1].up:
            _hand_over(walk, upper, skb.copy())
    return "pass"


def _listens(walk: Walk, upper: Upper, group: bytes) -> bool:
    """macvlan_compute_filter(), macvlan_broadcast(): what the device itself listens to. Its filter has 256 places, and where an address
    falls depends on the device's own place in memory (mc_hash): one in 256 other groups gets in, too, and nobody can read which."""
    ns, link = upper
    if group == ethernet.BROADCAST or link.flags & (IFF_PROMISC | IFF_ALLMULTI):
        return True
    try:
        return group in ns.multicast_macs(link.ifindex)
    except Unreadable:
        return walk.decide(Unknown(f"{link.name} listens to the group address {ethernet.text(group)}"),
                           ("macvlan-group", ns.id, link.ifindex, group))


def _hand_over(walk: Walk, upper: Upper, skb: Skb) -> None:
    """macvlan_broadcast_one(), netif_rx()"""
    ns, link = upper
    skb.pkt_type = PACKET_BROADCAST if skb.dst_mac == ethernet.BROADCAST else PACKET_MULTICAST
    walk.enqueue(lambda: device.receive_core(walk, ns, link, skb), ns, link, skb)


def device_xmit(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """macvlan_queue_xmit(): in bridge mode to the neighbours on the same device directly, else out through it."""
    found = xmit.other_end(ns, dev)
    if found is None:
        walk.unsure(ns, "macvlan", dev, skb, f"the device under {dev.name}, which cannot be seen")
        return
    lower_ns, lower = found
    if _mode(dev) == "bridge":
        others = [upper for upper in uppers.stacked(walk, lower_ns, lower, ns, dev) if _mode(upper[1]) == "bridge"]
        if ethernet.is_multicast(skb.dst_mac):
            for other_ns, other in others:
                if other.up and _listens(walk, (other_ns, other), skb.dst_mac):
                    xmit.forward_to(walk, ns, dev, other_ns, other, skb.copy())
        elif _with_mac(others, skb.dst_mac) is not None:
            walk.step(ns, "macvlan", dev, f"{ethernet.text(skb.dst_mac)} is another macvlan on {lower.name}.")
            xmit.forward_to(walk, ns, dev, lower_ns, lower, skb)
            return
    device.transmit(walk, lower_ns, lower, skb)
