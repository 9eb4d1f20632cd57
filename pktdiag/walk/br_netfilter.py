"""br_netfilter: bridged IP packets take a detour through the IP hooks, as if they were routed.

::

    bridge PRE_ROUTING, up to priority 0 | IP PRE_ROUTING, in = the bridge | (DNAT? routed or bridged elsewhere) | the rest
    bridge FORWARD, up to priority 0     | IP FORWARD, in = out = the bridge | the rest
    bridge POST_ROUTING, all of it       | IP POST_ROUTING, out = the bridge | fragment, send

Source: net/bridge/br_netfilter_hooks.c (br_nf_pre_routing, br_nf_pre_routing_finish, br_nf_forward_ip, br_nf_forward_arp,
br_nf_post_routing, br_nf_dev_queue_xmit, br_nf_hook_thresh, ip_sabotage_in), br_netfilter_ipv6.c.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET,
    ETH_P_ARP,
    ETH_P_IP,
    ETH_P_IPV6,
    IPPROTO_HOPOPTS,
    NF_ARP_FORWARD,
    NF_BR_FORWARD,
    NF_INET_FORWARD,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NFPROTO_ARP,
    NFPROTO_BRIDGE,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    PACKET_HOST,
    PACKET_OTHERHOST,
)
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter import hooks, tracking
from pktdiag.netfilter.context import HookContext, Skb, Unknown
from pktdiag.walk.hook import run_hook
from pktdiag.walk.services import services_of
from pktdiag.walk.state import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PRIORITY = 0
"""NF_BR_PRI_BRNF"""

_SWITCHES = {ETH_P_IP: ("bridge-nf-call-iptables", "nf_call_iptables"), ETH_P_IPV6: ("bridge-nf-call-ip6tables", "nf_call_ip6tables"),
             ETH_P_ARP: ("bridge-nf-call-arptables", "nf_call_arptables")}


class NfBridge:
    """struct nf_bridge_info: what the detour remembers, in ``skb.extra["nf_bridge"]``."""

    __slots__ = ("bridged_dnat", "daddr", "in_prerouting", "otherhost", "physin", "physout", "pkt_type", "sabotage_done", "src_mac")

    def __init__(self, physin: int, daddr: bytes) -> None:
        self.physin, self.daddr = physin, daddr
        self.physout: int | None = None
        self.in_prerouting = True
        self.otherhost = False
        self.sabotage_done = False
        self.bridged_dnat = False
        self.src_mac = b""
        self.pkt_type = PACKET_HOST

    def copy(self) -> NfBridge:
        other = NfBridge.__new__(NfBridge)
        for name in NfBridge.__slots__:
            setattr(other, name, getattr(self, name))
        return other


def _info(skb: Skb) -> NfBridge | None:
    info = skb.extra.get("nf_bridge")
    return info if isinstance(info, NfBridge) else None


def calls(ns: NamespaceView, br: Link, skb: Skb) -> bool:
    """Whether a frame entering the bridge visits the IP hooks: br_netfilter is loaded, and switched on for the namespace
    (net.bridge.bridge-nf-call-*) or for this bridge. Tagged frames do only with bridge-nf-filter-vlan-tagged."""
    if skb.ethertype not in (ETH_P_IP, ETH_P_IPV6):
        return False
    return _switched_on(ns, br, skb.ethertype) and (skb.vlan_tci is None or ns.sysctl("net/bridge/bridge-nf-filter-vlan-tagged") == "1")


def _switched_on(ns: NamespaceView, br: Link, ethertype: int) -> bool:
    sysctl, option = _SWITCHES[ethertype]
    value = ns.sysctl(f"net/bridge/{sysctl}")
    return value is not None and (value == "1" or bool(br.data.get(option)))


def pre_routing(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> str:
    """IP PRE_ROUTING, and what a changed destination means. "ended"; "bridge": go on as a frame; "bridged-dnat": it stays
    on this bridge but needs the new destination's MAC address."""
    from pktdiag.walk import route

    info = skb.extra["nf_bridge"] = NfBridge(port.ifindex, skb.packet.dst)
    assert isinstance(info, NfBridge)
    skb.physin = port.ifindex
    skb.sock = None
    skb.frag_max_size = 0
    _hide_otherhost(skb, info)
    v4 = skb.packet.family == AF_INET
    headers = skb.packet.ext_headers
    if headers and headers[0][0] == IPPROTO_HOPOPTS:
        from pktdiag.model.exthdr import holds_together

        if not holds_together(headers[0][1]):
            walk.drop(ns, "bridge-prerouting", br, skb, "IP_INHDR", "br_netfilter: the hop-by-hop options do not fill their header.",
                      cause="bad-options")  # br_validate_ipv6()
            return "ended"
    walk.step(ns, "bridge-prerouting", br, f"br_netfilter: the bridged packet visits the {'IPv4' if v4 else 'IPv6'} hooks of {br.name}.")
    if not run_hook(walk, ns, NFPROTO_IPV4 if v4 else NFPROTO_IPV6, NF_INET_PRE_ROUTING, skb, br, None, "prerouting"):
        return "ended"
    info = _info(skb) or info  # of several fragments, the first one's
    _show_otherhost(skb, info)
    info.in_prerouting = False
    if skb.packet.dst == info.daddr:
        return "bridge"
    decision = route.input_(walk, ns, br, skb.packet, skb.mark)
    if decision.kind == "error" and (not v4 or decision.match is None or decision.error == "EXDEV" or decision.reason == "IP_INVALID_DEST"):
        # ip_route_input() gives the reason since v6.13; br_nf_pre_routing_finish_ipv6() has none, for whatever error
        reason = "IP_RPFILTER" if decision.error == "EXDEV" else decision.reason or "NOT_SPECIFIED"
        walk.drop(ns, "routing", br, skb, reason if v4 else "NOT_SPECIFIED",
                  f"br_netfilter: after the DNAT there is no way: {decision.text}.", cause="no-route")
        return "ended"
    # An unreachable destination is no failure here for IPv4: ip_route_input() returns an error *route* (label no_route), so without
    # ip_forward even a DNAT to a station of the same bridge goes up and ends in ip_error().
    if decision.oif == br.ifindex and decision.kind in ("unicast", "multicast"):
        skb.route = decision
        return "bridged-dnat"
    skb.dst_mac = br.mac
    skb.pkt_type = PACKET_HOST
    walk.step(ns, "bridge", br, "br_netfilter: the DNAT leads off this bridge, so the frame goes up to be routed.")
    return "bridge"


def finish_bridge(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> None:
    """br_nf_pre_routing_finish_bridge(): the neighbour knows the new destination's MAC address; the sender's stays. Only
    with a cached header is it written in place; else the frame goes out through the bridge device and comes back."""
    from pktdiag.walk import neighbour, route

    info = _info(skb)
    assert info is not None
    decision = skb.route
    next_hop = decision.next_hop(skb.packet) if isinstance(decision, route.RouteResult) else skb.packet.dst
    if neighbour.header_cached(walk, ns, br, next_hop):
        skb.dst_mac = neighbour.known(walk, ns, br, next_hop) or b""
        _frame_finish(walk, ns, br, port, skb)
        return
    info.src_mac, info.pkt_type = skb.src_mac, skb.pkt_type
    info.bridged_dnat = True
    neighbour.output(walk, ns, br, next_hop, skb)


def returns_to_bridge(walk: Walk, ns: NamespaceView, br: Link, skb: Skb) -> bool:
    """br_nf_dev_xmit(): the frame that finish_bridge sent to find its address goes on where it was taken off, still another station's if
    it was one's: only the drivers of other devices make it new."""
    info = _info(skb)
    if info is None or not info.bridged_dnat:
        return False
    info.bridged_dnat = False
    info.physout = None
    skb.src_mac, skb.pkt_type = info.src_mac, info.pkt_type
    port = ns.link(info.physin)
    if port is None:
        walk.drop(ns, "bridge", br, skb, "NOT_SPECIFIED", "The port the frame came in through is gone.", cause="device-gone")
    else:
        _frame_finish(walk, ns, br, port, skb)
    return True


def _frame_finish(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> None:
    from pktdiag.walk import bridge

    bridge.frame_finish(walk, ns, br, port, skb)


def forward(walk: Walk, ns: NamespaceView, br: Link, came: Link, to: Link, skb: Skb) -> bool:
    """The bridge's FORWARD hook with br_netfilter's share. False: it ended.

    br_nf_hook_thresh() comes back behind priority 0. Chains of exactly the hook's priority run before the detour where they are
    younger than it, else not at all. Before v6.8 (commit ee6f05dcd672) IP has a hook of its own, at -1, and so never meets
    chains at 0."""
    info = _info(skb)
    tagged = skb.vlan_tci is not None and ns.sysctl("net/bridge/bridge-nf-filter-vlan-tagged") != "1"
    visits_ip = info is not None and not tagged and skb.ethertype in (ETH_P_IP, ETH_P_IPV6)
    visits_arp = skb.ethertype == ETH_P_ARP and skb.vlan_tci is None and _switched_on(ns, br, ETH_P_ARP)

    def hook(low: int | None, high: int | None) -> bool:
        return run_hook(walk, ns, NFPROTO_BRIDGE, NF_BR_FORWARD, skb, came, to, "bridge-forward", low=low, high=high)

    if not visits_ip and not visits_arp:
        return hook(None, None)
    ctx = HookContext(services_of(walk), ns, NFPROTO_BRIDGE, NF_BR_FORWARD, skb.copy(), came, to)
    near = [entry for entry in hooks.entries_of(ctx, came.ifindex) if PRIORITY - 1 <= entry.priority <= PRIORITY]
    tie = PRIORITY - 1 if visits_ip and near and _separate_hooks(walk, ns) else PRIORITY
    if not hook(None, tie - 1):
        return False
    equals = [entry for entry in near if entry.priority == tie]
    if equals and _run_first(walk, ns, ctx, equals, tie) and not hook(tie, tie):
        return False
    if visits_ip and info is not None:
        return _forward_ip(walk, ns, br, to, skb, info) and hook(PRIORITY + 1, None)
    return run_hook(walk, ns, NFPROTO_ARP, NF_ARP_FORWARD, skb, came, to, "bridge-forward") and hook(PRIORITY + 1, None)


def _separate_hooks(walk: Walk, ns: NamespaceView) -> bool:
    """Whether this kernel is one of those with br_nf_forward_ip() as a hook of its own; the others have br_nf_forward()."""
    from pktdiag.netfilter import bridge_hooks

    known = bridge_hooks.listed(ns, NF_BR_FORWARD)
    if known is not None:
        return any(function == "br_nf_forward_ip" for _, function in known)
    joint = walk.host.kernel_function("br_netfilter", "br_nf_forward")
    if joint is not None:
        return not joint
    return walk.decide(Unknown("the kernel is older than 6.8, where bridge chains of priority 0 do not see the IP packets that "
                               "br_netfilter shows to iptables"), ("br_netfilter-separate",))


def _run_first(walk: Walk, ns: NamespaceView, ctx: HookContext, entries: list[hooks.Entry], priority: int) -> bool:
    """Whether bridge FORWARD chains at br_netfilter's own priority are younger than it; it is asked about only where it matters."""
    from pktdiag.netfilter import bridge_hooks

    order = [function for each, function in bridge_hooks.listed(ns, NF_BR_FORWARD) or () if each == priority]
    if order:
        return not order[0].startswith("br_nf_")
    remembered = dict(walk.conns)  # quotas, elements of sets
    overheard = walk.overhear("silent-hits", "silent-ends", "silent-notes", "doubts")
    try:
        harmless = hooks.run_entries(ctx, entries).action == "accept"
    finally:  # this was a rehearsal: nothing of it has happened
        walk.listen_again(overheard)
        walk.conns.clear()
        walk.conns.update(remembered)
    return harmless or walk.decide(
        Unknown(f"the bridge chains of priority {priority} ({', '.join(entry.label for entry in entries)}) were loaded after the first "
                "bridge was made, so that they run before br_netfilter"), ("br_netfilter-age", ns.id, priority))


def _forward_ip(walk: Walk, ns: NamespaceView, br: Link, to: Link, skb: Skb, shared: NfBridge) -> bool:
    info = skb.extra["nf_bridge"] = shared.copy()
    assert isinstance(info, NfBridge)
    _hide_otherhost(skb, info)
    info.physout = skb.physout = to.ifindex
    pf = NFPROTO_IPV4 if skb.ethertype == ETH_P_IP else NFPROTO_IPV6
    if not run_hook(walk, ns, pf, NF_INET_FORWARD, skb, br, br, "forward"):
        return False
    _show_otherhost(skb, info)
    return True


def _leaving(ns: NamespaceView, skb: Skb) -> NfBridge | None:
    """What br_nf_post_routing() takes through the IP hook."""
    info = _info(skb)
    if info is None or info.physout is None or skb.ethertype not in (ETH_P_IP, ETH_P_IPV6):
        return None
    if skb.vlan_tci is not None and ns.sysctl("net/bridge/bridge-nf-filter-vlan-tagged") != "1":
        return None
    return info


def before_tracking(walk: Walk, ns: NamespaceView, skb: Skb) -> bool:
    """Whether br_nf_post_routing() takes the frame away before nf_ct_bridge_post() would see it."""
    if _leaving(ns, skb) is None or not tracking.on_bridges(ns):
        return False
    from pktdiag.netfilter import bridge_hooks

    return bridge_hooks.detour_first(services_of(walk), ns, skb)


def post_routing(walk: Walk, ns: NamespaceView, br: Link, to: Link, skb: Skb, send: Callable[[Skb], None]) -> bool:
    """IP POST_ROUTING for frames that passed :func:`forward`; packets that were routed visited it already. False: it ended, or ``send``
    has got it in pieces."""
    info = _leaving(ns, skb)
    if info is None:
        return True
    _hide_otherhost(skb, info)
    v4 = skb.ethertype == ETH_P_IP
    if not run_hook(walk, ns, NFPROTO_IPV4 if v4 else NFPROTO_IPV6, NF_INET_POST_ROUTING, skb, None, br, "postrouting"):
        return False
    _show_otherhost(skb, info)
    if skb.extra.get("bridge_gathered"):
        from pktdiag.netfilter import bridge_hooks

        walk.unsure(ns, "bridge-postrouting", to, skb, bridge_hooks.PIECES)
        return False
    skb.extra.pop("nf_bridge", None)
    skb.physin = skb.physout = None
    came_as = skb.frag_max_size
    if skb.packet.length <= min(to.mtu, came_as or to.mtu):
        skb.frag_max_size = 0
        return True
    if v4 and ((skb.packet.df and not skb.local_df) or came_as > br.mtu):
        walk.drop(ns, "fragment", to, skb, "NOT_SPECIFIED", f"br_netfilter: {skb.packet.length} bytes may not be fragmented and do not fit "
                  f"the MTU {to.mtu} of {to.name}; no ICMP is sent.", counters=("IpFragFails",), cause="bridge-mtu")
        return False
    return _cut(walk, ns, br, to, skb, send)


def _cut(walk: Walk, ns: NamespaceView, br: Link, to: Link, skb: Skb, send: Callable[[Skb], None]) -> bool:
    """br_nf_dev_queue_xmit(): the MTU of br_netfilter's own entry in place of a route (fake_rtable) is the bridge's, not the port's."""
    if skb.packet.family != AF_INET and (not skb.local_df or skb.frag_max_size > br.mtu):
        walk.unsure(ns, "fragment", to, skb, f"what br_netfilter answers to {skb.packet.length} bytes that do not fit the MTU {br.mtu} of "
                    f"{br.name}, which is not modelled")
        return False
    from pktdiag.walk import pieces

    pieces.cut(walk, ns, to, skb, br.mtu, f"the MTU {br.mtu} of {br.name}", send)
    return False


def sabotages(ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """ip_sabotage_in(): a packet that came up from a bridge after the detour has had its PRE_ROUTING. True: skip the hook.
    Not on a VRF's devices (netif_is_l3_slave)."""
    info = _info(skb)
    if info is None or info.sabotage_done or info.in_prerouting:
        return False
    if dev.kind == "vrf" or dev.slave_kind == "vrf":
        return False
    info.sabotage_done = True
    return True


def _hide_otherhost(skb: Skb, info: NfBridge) -> None:
    if skb.pkt_type == PACKET_OTHERHOST:
        skb.pkt_type = PACKET_HOST
        info.otherhost = True


def _show_otherhost(skb: Skb, info: NfBridge) -> None:
    if info.otherhost:
        skb.pkt_type = PACKET_OTHERHOST
        info.otherhost = False
