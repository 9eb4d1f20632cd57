"""The Ethernet bridge: a frame comes in through a port or from the bridge device, is learned from, and goes to one port,
to many, or up to the host.

Sources: net/bridge/br_input.c (br_handle_frame, br_handle_frame_finish, br_pass_frame_up), br_device.c (br_dev_xmit),
br_forward.c (br_forward, br_flood, deliver_clone, should_deliver, br_dev_queue_push_xmit).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    BR_STATE_DISABLED,
    BR_STATE_FORWARDING,
    BR_STATE_LEARNING,
    ETH_P_ARP,
    IFF_PROMISC,
    NF_BR_LOCAL_IN,
    NF_BR_LOCAL_OUT,
    NF_BR_POST_ROUTING,
    NF_BR_PRE_ROUTING,
    NFPROTO_BRIDGE,
    PACKET_HOST,
    PACKET_LOOPBACK,
)
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb
from pktdiag.netfilter.priorities import INT_MAX
from pktdiag.walk import br_netfilter, bridge_fdb, bridge_mcast, bridge_proxy, bridge_vlan, bystanders, device, ethernet
from pktdiag.walk.hook import run_hook
from pktdiag.walk.rx_handlers import Handled
from pktdiag.walk.state import Walk


def ports(walk: Walk, ns: NamespaceView, br: Link) -> list[Link]:
    """The bridge's ports, in no particular order."""
    return list(ns.ports(br.ifindex))


def _in_order(ns: NamespaceView, br: Link, chosen: list[Link]) -> list[Link]:
    """As br_flood() meets them: the newest port first (br_add_if puts it at the head of port_list). Where the age of a port
    cannot be told, the younger device is taken for the younger port."""
    try:
        rank = {ifindex: position for position, ifindex in enumerate(ns.bridge_port_order(br.ifindex))}
    except Unreadable:
        rank = {}
    return sorted(chosen, key=lambda link: (rank.get(link.ifindex, -1), -link.ifindex))


def _state(port: Link) -> int:
    return int(port.port.get("state", BR_STATE_FORWARDING))


def handle_frame(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> Handled:
    """br_handle_frame(): "consumed", or "pass" for frames the port's own protocols keep."""
    if skb.pkt_type == PACKET_LOOPBACK:
        return "pass"
    if ethernet.is_multicast(skb.src_mac) or not any(skb.src_mac):
        walk.drop(ns, "bridge", port, skb, "MAC_INVALID_SOURCE", f"{ethernet.text(skb.src_mac)} cannot be a sender.",
                  cause="bad-source-mac")
        return "consumed"
    if ethernet.is_link_local(skb.dst_mac):
        kept = _link_local(walk, ns, br, port, skb)
        if kept is not None:
            return kept
    if _state(port) not in (BR_STATE_FORWARDING, BR_STATE_LEARNING):
        walk.drop(ns, "bridge", port, skb, "BRIDGE_INGRESS_STP_STATE",
                  f"Port {port.name} of {br.name} is {STATE_NAMES.get(_state(port), '?')}: it takes no frames.", cause="stp-state")
        return "consumed"
    if skb.dst_mac == br.mac:
        skb.pkt_type = PACKET_HOST
    return _prerouting(walk, ns, br, port, skb)


STATE_NAMES = {0: "disabled", 1: "listening", 2: "learning", 3: "forwarding", 4: "blocking"}


def _link_local(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> Handled | None:
    """01:80:c2:00:00:0X: forwarded only where the group_fwd_mask says so, or BPDUs with STP off. None: forward it."""
    number = skb.dst_mac[5]
    mask = int(port.port.get("group_fwd_mask", 0)) | (int(br.data.get("group_fwd_mask", 0)) if number else 0)
    if number == 1:
        walk.drop(ns, "bridge", port, skb, "MAC_IEEE_MAC_CONTROL", "A bridge never forwards pause frames.", cause="pause-frame")
        return "consumed"
    if mask >> number & 1 or (number == 0 and not br.data.get("stp_state")):
        return None
    if number not in (0, 0x0E) and not run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_LOCAL_IN, skb, port, None, "bridge-input"):
        return "consumed"
    return "pass"


def _prerouting(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> Handled:
    """nf_hook_bridge_pre(): the bridge's own hook, with br_netfilter's detour through the IP hooks in the middle of it."""
    pending = br_netfilter.calls(ns, br, skb)
    if not run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_PRE_ROUTING, skb, port, None, "bridge-prerouting",
                    high=br_netfilter.PRIORITY if pending else None):
        return "consumed"
    if skb.extra.pop("broute", False):
        return "pass"
    way = "bridge"
    if pending:
        way = br_netfilter.pre_routing(walk, ns, br, port, skb)
        if way == "ended" or not run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_PRE_ROUTING, skb, port, None, "bridge-prerouting",
                                          low=br_netfilter.PRIORITY + 1):
            return "consumed"
    if way == "bridged-dnat":
        br_netfilter.finish_bridge(walk, ns, br, port, skb)
    else:
        frame_finish(walk, ns, br, port, skb)
    return "consumed"


def frame_finish(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> None:
    """br_handle_frame_finish(): learning and the forwarding decision."""
    state = _state(port)
    if state == BR_STATE_DISABLED:
        walk.drop(ns, "bridge", port, skb, "BRIDGE_INGRESS_STP_STATE", f"Port {port.name} is disabled.", cause="stp-state")
        return
    vid = bridge_vlan.ingress(walk, ns, br, port, skb)
    if vid is None:
        walk.drop(ns, "bridge", port, skb, "NOT_SPECIFIED", f"VLAN filtering of {br.name}: port {port.name} is not in the frame's VLAN.",
                  cause="vlan-filter")
        return
    if port.port.get("locked") and not _authorised(walk, ns, br, port, skb, vid):
        return
    if port.port.get("learning", 1):
        bridge_fdb.learn(walk, ns, br, port, skb.src_mac, vid)
    if state == BR_STATE_LEARNING:
        walk.drop(ns, "bridge", port, skb, "BRIDGE_INGRESS_STP_STATE", f"Port {port.name} is still learning.", cause="stp-state")
        return
    skb.extra["src_isolated"] = bool(port.port.get("isolated"))
    if skb.ethertype == ETH_P_ARP:
        bridge_proxy.suppress(walk, ns, br, port, skb, vid)
    promisc = bool(br.flags & IFF_PROMISC)
    if not ethernet.is_multicast(skb.dst_mac):
        _unicast(walk, ns, br, port, skb, vid, promisc)
        return
    broadcast = skb.dst_mac == ethernet.BROADCAST
    found = None if broadcast else bridge_mcast.group(walk, ns, br, ports(walk, ns, br), skb, vid)
    up = promisc or broadcast or found is None or found.host
    if found is not None:
        walk.step(ns, "bridge", br, f"{br.name}: {bridge_mcast.describe(skb, found)}.")
        _to_ports(walk, ns, br, port, skb, [item for item in ports(walk, ns, br) if item.ifindex in found.ports], up)
    else:
        _flood(walk, ns, br, port, skb, "broadcast" if broadcast else "multicast", up)
    if up:
        _pass_up(walk, ns, br, port, skb, promisc)


def _unicast(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb, vid: int, promisc: bool) -> None:
    station = bridge_fdb.find(walk, ns, br, skb.dst_mac, vid)
    if station is not None and station.local:
        _pass_up(walk, ns, br, port, skb, False)
        return
    if station is not None:
        forward(walk, ns, br, port, skb, station.port, promisc)
    else:
        _flood(walk, ns, br, port, skb, "unicast", promisc)
    if promisc:
        _pass_up(walk, ns, br, port, skb, True)


def _authorised(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb, vid: int) -> bool:
    """BR_PORT_LOCKED: only senders already known behind this port."""
    station = bridge_fdb.find(walk, ns, br, skb.src_mac, vid)
    if station is not None and not station.local and station.port == port.ifindex:
        return True
    walk.drop(ns, "bridge", port, skb, "NOT_SPECIFIED", f"Port {port.name} is locked and does not know {ethernet.text(skb.src_mac)}.",
              cause="port-locked")
    return False


def _pass_up(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb, promisc: bool) -> None:
    """br_pass_frame_up(): the frame is received again, now on the bridge device. ``promisc``: it would be in any case."""
    if not br.flags & IFF_PROMISC and not bridge_vlan.egress_allowed(walk, ns, br, br, skb):
        walk.drop(ns, "bridge", br, skb, "NOT_SPECIFIED", f"{br.name} itself is not a member of the frame's VLAN.", cause="vlan-filter")
        return
    bridge_vlan.untag(walk, ns, br, br, skb)
    walk.step(ns, "bridge", br, f"{br.name}: the frame is for the host itself.")
    if promisc:
        skb.extra["promisc"] = True
    if run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_LOCAL_IN, skb, port, None, "bridge-input"):
        for name in ("vlan_filtered", "promisc", "bridge_gathered"):
            skb.extra.pop(name, None)
        device.receive_core(walk, ns, br, skb)


def device_xmit(walk: Walk, ns: NamespaceView, br: Link, skb: Skb) -> None:
    """br_dev_xmit(): the host sends a frame into the bridge. It always reports success to the sender."""
    skb.extra["xmit-async"] = True
    if br_netfilter.returns_to_bridge(walk, ns, br, skb):
        return
    vid = bridge_vlan.ingress(walk, ns, br, br, skb)
    if vid is None:
        walk.drop(ns, "bridge", br, skb, "NOT_SPECIFIED", f"VLAN filtering: {br.name} itself is not a member of the frame's VLAN.",
                  cause="vlan-filter")
        return
    skb.extra["src_isolated"] = False
    if skb.ethertype == ETH_P_ARP and bridge_proxy.suppressing(ports(walk, ns, br)):
        bridge_proxy.suppress(walk, ns, br, None, skb, vid)
    if ethernet.is_multicast(skb.dst_mac):
        broadcast = skb.dst_mac == ethernet.BROADCAST
        found = None if broadcast else bridge_mcast.group(walk, ns, br, ports(walk, ns, br), skb, vid)
        if found is not None:
            _to_ports(walk, ns, br, None, skb, [item for item in ports(walk, ns, br) if item.ifindex in found.ports], False)
        else:
            _flood(walk, ns, br, None, skb, "broadcast" if broadcast else "multicast", False)
        return
    station = bridge_fdb.find(walk, ns, br, skb.dst_mac, vid)
    if station is not None:
        forward(walk, ns, br, None, skb, station.port, False)
    else:
        _flood(walk, ns, br, None, skb, "unicast", False)


def _should_deliver(walk: Walk, ns: NamespaceView, br: Link, came: Link | None, to: Link, skb: Skb) -> str:
    """should_deliver(). Why not, or ""."""
    if came is not None and came.ifindex == to.ifindex and not to.port.get("hairpin"):
        return f"it came in through {to.name} and hairpin is off there"
    if _state(to) != BR_STATE_FORWARDING:
        return f"port {to.name} is {STATE_NAMES.get(_state(to), '?')}"
    if not bridge_vlan.egress_allowed(walk, ns, br, to, skb):
        return f"port {to.name} is not a member of VLAN {(skb.vlan_tci or 0) & 0xFFF}"
    if skb.extra.get("src_isolated") and to.port.get("isolated"):
        return f"both ports are isolated ({to.name})"
    return ""


def forward(walk: Walk, ns: NamespaceView, br: Link, came: Link | None, skb: Skb, target: int | None, keep: bool) -> None:
    """br_forward(): to the one port that leads to the station."""
    to = ns.link(target) if target is not None else None
    if to is not None and to.port.get("backup_port") and not (to.carrier and to.up):
        to = ns.link(to.port["backup_port"])
    why = _should_deliver(walk, ns, br, came, to, skb) if to is not None else f"{ethernet.text(skb.dst_mac)} is the bridge's own address"
    if to is not None and not why:
        walk.step(ns, "bridge", br, f"{br.name}: {ethernet.text(skb.dst_mac)} is behind port {to.name}.")
        _send_through(walk, ns, br, came, to, skb.clone() if keep else skb)
    elif not keep:
        back = came is not None and to is not None and came.ifindex == to.ifindex and not to.port.get("hairpin")
        walk.drop(ns, "bridge", to if back else br, skb, "NOT_SPECIFIED", f"{br.name} does not forward it: {why}.",
                  cause="hairpin" if back else "bridge-refuses")


_FLOOD_SWITCH = {"unicast": "unicast_flood", "multicast": "mcast_flood", "broadcast": "bcast_flood"}


def _flood(walk: Walk, ns: NamespaceView, br: Link, came: Link | None, skb: Skb, kind: str, keep: bool) -> None:
    """br_flood(). ``keep``: the host gets the original, every port a clone."""
    chosen = []
    for port in ports(walk, ns, br):
        if not port.port.get(_FLOOD_SWITCH[kind], 1) and (kind == "unicast" or came is not None):
            continue
        if port.port.get("proxyarp"):
            continue
        if skb.extra.get("proxyarp_replied") and (port.port.get("proxy_arp_wifi") or port.port.get("neigh_suppress")):
            continue
        chosen.append(port)
    _to_ports(walk, ns, br, came, skb, chosen, keep, kind)


def _to_ports(walk: Walk, ns: NamespaceView, br: Link, came: Link | None, skb: Skb, chosen: list[Link], keep: bool,
              kind: str = "multicast") -> None:
    chosen = [port for port in chosen if not _should_deliver(walk, ns, br, came, port, skb)]
    if not chosen:
        if not keep:
            why = "no other port takes it" if came is not None else "it has no forwarding port"
            walk.drop(ns, "bridge", br, skb, "NO_TX_TARGET", f"{br.name} has nowhere to send it: {why}.", cause="bridge-no-target")
        return
    what = f"{ethernet.text(skb.dst_mac)} is unknown, so it is flooded" if kind == "unicast" else f"{kind}, flooded"
    walk.step(ns, "bridge", br, f"{br.name}: {what} to {', '.join(port.name for port in chosen)}.")
    if walk.silent:
        chosen = bystanders.left_out(ns, chosen, skb)
        if not chosen:
            return
    elif len(chosen) > 1:
        chosen = _in_order(ns, br, chosen)
    for port in chosen[:-1]:
        _send_through(walk, ns, br, came, port, skb.clone())
    _send_through(walk, ns, br, came, chosen[-1], skb.clone() if keep else skb)


def _send_through(walk: Walk, ns: NamespaceView, br: Link, came: Link | None, to: Link, skb: Skb) -> None:
    """__br_forward(), br_forward_finish(), br_dev_queue_push_xmit()"""
    bridge_vlan.untag(walk, ns, br, to, skb)
    if came is not None:
        if not br_netfilter.forward(walk, ns, br, came, to, skb):
            return
    elif not run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_LOCAL_OUT, skb, None, to, "bridge-output"):
        return
    end = INT_MAX - 1 if br_netfilter.before_tracking(walk, ns, skb) else None
    if not run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_POST_ROUTING, skb, None, to, "bridge-postrouting", high=end):
        return
    if br_netfilter.post_routing(walk, ns, br, to, skb, lambda piece: _push(walk, ns, to, piece)):
        _push(walk, ns, to, skb)


def _push(walk: Walk, ns: NamespaceView, to: Link, skb: Skb) -> None:
    if not ethernet.forwardable(to, skb):
        walk.drop(ns, "bridge", to, skb, "NOT_SPECIFIED",
                  f"A frame of {ethernet.length(skb)} bytes does not fit the MTU {to.mtu} of {to.name}.", cause="bridge-mtu")
        return
    skb.extra.pop("vlan_filtered", None)
    device.transmit(walk, ns, to, skb)

