"""Devices: how a frame comes in from one and goes out through one. What each kind of device does with it is in ``xmit``.

Sources: net/core/dev.c (netif_rx, __netif_receive_skb_core, __dev_queue_xmit, dev_hard_start_xmit),
net/sched/sch_generic.c (noop_enqueue, dev_deactivate), net/8021q/vlan_core.c (vlan_do_receive).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NF_NETDEV_EGRESS,
    NF_NETDEV_INGRESS,
    NFPROTO_NETDEV,
    PACKET_HOST,
    PACKET_LOOPBACK,
    PACKET_OTHERHOST,
)
from pktdiag.model.trace import DROPPED
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import ethernet, qdisc, tc
from pktdiag.walk.hook import run_hook
from pktdiag.walk.state import XMIT_ERROR, Walk

XMIT_RECURSION_LIMIT = 8
"""include/linux/netdevice.h; deeper nesting of virtual devices is a dead loop."""


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """A frame arrives on ``dev``, as its driver hands it up: eth_type_trans() and netif_receive_skb(). The start of a walk
    from outside, and what a veth's peer, a VLAN's or a tunnel's device does with what it got."""
    if not _is_up(walk, ns, dev, skb):
        return
    if skb.dst_mac:
        skb.pkt_type = ethernet.packet_type(dev, skb.dst_mac)
    else:
        skb.pkt_type = PACKET_HOST
    receive_core(walk, ns, dev, skb)


def _is_up(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """netif_running(), in enqueue_to_backlog()."""
    if not dev.up:
        walk.drop(ns, "device-receive", dev, skb, "DEV_READY", f"{dev.name} is down: it receives nothing.", cause="device-down")
    return dev.up


def receive_core(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """__netif_receive_skb_core(): one round per device that takes the frame over (VLAN, macvlan, bond)."""
    deliver_exact = False
    while True:
        skb.iif = dev.ifindex
        if not _generic_xdp(walk, ns, dev, skb):
            return
        walk.step(ns, "device-receive", dev, f"{dev.name} receives it{_frame_text(skb)}.", packet=skb.packet)
        walk.sight(ns, dev, "in", skb)
        if not tc.ingress(walk, ns, dev, skb):
            return
        if not run_hook(walk, ns, NFPROTO_NETDEV, NF_NETDEV_INGRESS, skb, dev, None, "netfilter-ingress"):
            return
        from pktdiag.walk import rx_handlers

        if skb.vlan_tci is not None:
            moved = rx_handlers.vlan(walk, ns, dev, skb)
            if moved == "consumed":
                return
            if isinstance(moved, tuple):
                ns, dev = moved
                continue
        handled = rx_handlers.run(walk, ns, dev, skb)
        if handled == "consumed":
            return
        if isinstance(handled, tuple):
            ns, dev = handled
            continue
        deliver_exact = handled == "exact"
        break
    if skb.vlan_tci is not None:
        if skb.vlan_tci & 0xFFF:
            skb.pkt_type = PACKET_OTHERHOST
        skb.vlan_tci = None
    if deliver_exact:
        walk.drop(ns, "device-receive", dev, skb, "UNHANDLED_PROTO",
                  f"{dev.name} is an inactive port: only taps bound to it get the frame.", cause="inactive-port")
        return
    _deliver(walk, ns, dev, skb)


def looped(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """What dev_loopback_xmit() gave to netif_rx() comes in on the device it went out of, without a link header. Taps and bridges pass
    over it (packet_rcv, br_handle_frame: PACKET_LOOPBACK); programs and rules at the device's ingress see it."""
    skb.iif = dev.ifindex
    skb.dst_mac = skb.src_mac = b""
    if not _is_up(walk, ns, dev, skb) or not _generic_xdp(walk, ns, dev, skb) or not tc.ingress(walk, ns, dev, skb):
        return
    if run_hook(walk, ns, NFPROTO_NETDEV, NF_NETDEV_INGRESS, skb, dev, None, "netfilter-ingress"):
        _deliver(walk, ns, dev, skb)


def _deliver(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """deliver_ptype_list_skb(): to the protocol of the frame's type."""
    if skb.ethertype == ETH_P_ARP:
        from pktdiag.walk import arp

        arp.receive(walk, ns, dev, skb)
    elif skb.ethertype in (ETH_P_IP, ETH_P_IPV6):
        if "ndisc" in skb.extra:
            from pktdiag.walk import ndisc

            ndisc.receive(walk, ns, dev, skb)
            return
        from pktdiag.walk import ip_input

        ip_input.receive(walk, ns, dev, skb)
    else:
        walk.drop(ns, "device-receive", dev, skb, "UNHANDLED_PROTO", f"Nothing handles ethertype 0x{skb.ethertype:04x}.",
                  cause="unhandled-protocol")


def _frame_text(skb: Skb) -> str:
    if skb.pkt_type == PACKET_LOOPBACK or not skb.dst_mac or not any(skb.dst_mac):
        return ""
    tag = f", VLAN {skb.vlan_tci & 0xFFF}" if skb.vlan_tci is not None else ""
    return f" ({ethernet.text(skb.src_mac)} > {ethernet.text(skb.dst_mac)}{tag})"


def _generic_xdp(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """do_xdp_generic(); a native program ran in the driver before, with the same effect on the way."""
    if dev.xdp is None or "xdpoffload" in dev.xdp:
        return True
    from pktdiag.netfilter.context import Unknown

    walk.step(ns, "xdp", dev, f"An XDP program is attached to {dev.name} ({dev.xdp}); a program cannot be read.")
    if walk.decide(Unknown(f"the XDP program on {dev.name} ({dev.xdp}) passes it"), ("xdp", ns.id, dev.ifindex)):
        return True
    walk.drop(ns, "xdp", dev, skb, "XDP", f"The XDP program on {dev.name} ({dev.xdp}) takes it.", cause="xdp")
    return False


def refusal_counters(skb: Skb) -> tuple[str, ...]:
    """What a sender's own stack counts when the device refuses the packet while the sender waits (NET_XMIT_DROP):
    ip_send_skb() / ip6_send_skb(), and udp_send_skb(). TCP retransmits and counts nothing, but for segments that no connection sends:
    a raw socket's, and the resets of ip_send_unicast_reply()."""
    packet, extra = skb.packet, skb.extra
    if skb.iif or extra.get("xmit-async") or skb.ethertype == ETH_P_ARP:
        return ()
    if packet.proto == IPPROTO_TCP and not extra.get("header_included") and (
            packet.family != AF_INET or extra.get("answer_kind") != "rst" or extra.get("answer_of_rule")):
        return ()
    first = "IpOutDiscards" if packet.family == AF_INET else "Ip6OutDiscards"
    if packet.proto != IPPROTO_UDP:
        return (first,)
    return (first, "UdpSndbufErrors" if packet.family == AF_INET else "Udp6SndbufErrors")


def refused(walk: Walk, skb: Skb) -> None:
    """dev_queue_xmit() returns an error to who has just given it ``skb``: for one of several fragments, the rest is not sent."""
    if "piece" in skb.extra and "xmit-async" not in skb.extra:
        walk.memory[XMIT_ERROR] = True


def transmit(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """dev_queue_xmit(): egress hooks, the queue, the taps, then the driver."""
    depth = walk.memory.get("xmit-depth", 0)
    ends = len(walk.leg.fates)
    if not run_hook(walk, ns, NFPROTO_NETDEV, NF_NETDEV_EGRESS, skb, None, dev, "netfilter-egress"):
        if len(walk.leg.fates) > ends and walk.leg.fates[-1].verdict == DROPPED:
            walk.count(ns, *refusal_counters(skb))
            refused(walk, skb)
        return
    if not tc.egress(walk, ns, dev, skb):
        refused(walk, skb)
        return
    if not dev.loopback:
        skb.route = None  # IFF_XMIT_DST_RELEASE: the route ends with this device; loopback keeps it for the way back in
    if not dev.up or not dev.carrier:
        state = "down" if not dev.up else "without carrier"
        walk.drop(ns, "qdisc", dev, skb, "QDISC_DROP", f"{dev.name} is {state}: its queue is the noop queue, which drops everything.",
                  cause="device-down" if not dev.up else "no-carrier")
        refused(walk, skb)
        return
    if not qdisc.passes(walk, ns, dev, skb):
        refused(walk, skb)
        return
    if depth >= XMIT_RECURSION_LIMIT:
        walk.drop(ns, "device-transmit", dev, skb, "NOT_SPECIFIED", f"Dead loop on virtual device {dev.name}: "
                  f"more than {XMIT_RECURSION_LIMIT} devices stacked.", cause="device-loop")
        refused(walk, skb)
        return
    walk.step(ns, "device-transmit", dev, f"{dev.name} sends it{_frame_text(skb)}.", packet=skb.packet)
    walk.sight(ns, dev, "out", skb)
    from pktdiag.walk import xmit

    walk.memory["xmit-depth"] = depth + 1
    try:
        xmit.hard_start(walk, ns, dev, skb)
    finally:
        walk.memory["xmit-depth"] = depth
