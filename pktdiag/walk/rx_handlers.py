"""What takes a frame away from a device before the protocols see it: VLANs above it, the bridge, macvlan, ipvlan or bond it
serves.

Sources: net/8021q/vlan_core.c (vlan_do_receive), drivers/net/bonding/bond_main.c (bond_handle_frame), net/core/dev.c
(rx_handler). A handler answers "pass", "exact", "consumed", or the (namespace, device) that takes over (RX_HANDLER_ANOTHER).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import PACKET_HOST, PACKET_OTHERHOST
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import uppers
from pktdiag.walk.state import Walk

Handled = str | tuple[NamespaceView, Link]

MODELLED_MASTERS = frozenset(("", "bridge", "bond"))


def run(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> Handled:
    """The device's rx_handler; a device has one at most."""
    master = ns.link(dev.master) if dev.master is not None else None
    if master is not None:
        if master.kind == "bridge":
            from pktdiag.walk import bridge

            return bridge.handle_frame(walk, ns, master, dev, skb)
        if master.kind == "bond":
            return _bond(walk, ns, master, dev, skb)
        if master.kind not in MODELLED_MASTERS:
            walk.unsure(ns, "device-receive", dev, skb, f"what the {master.kind} device {master.name} does with frames of its port "
                        f"{dev.name}, which is not modelled")
            return "consumed"
        return "pass"
    above = uppers.of(walk, ns, dev, skb)
    if not above:
        return "pass"
    from pktdiag.walk import macvlan

    return macvlan.handle_frame(walk, ns, dev, skb, above)


def vlan(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> Handled:
    """vlan_do_receive(): to the VLAN device above ``dev`` with the frame's tag; "pass" where there is none."""
    assert skb.vlan_tci is not None
    vid = skb.vlan_tci & 0xFFF
    found = uppers.vlan(walk, ns, dev, vid, skb.vlan_proto)
    if found is None:
        return "pass"
    upper_ns, upper = found
    if not upper.up:
        walk.drop(upper_ns, "device-receive", upper, skb, "NOT_SPECIFIED", f"The VLAN device {upper.name} is down.", cause="device-down")
        return "consumed"
    if skb.pkt_type == PACKET_OTHERHOST and skb.dst_mac == upper.mac:
        skb.pkt_type = PACKET_HOST
    skb.vlan_tci = None
    return found


def _bond(walk: Walk, ns: NamespaceView, master: Link, dev: Link, skb: Skb) -> Handled:
    """bond_handle_frame(): an inactive slave's frames only reach taps on it (bond_should_deliver_exact_match)."""
    active = master.data.get("active_slave")
    if master.data.get("mode") == "active-backup" and active and active != dev.ifindex:
        return "exact"
    return (ns, master)
