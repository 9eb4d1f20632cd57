"""IP receive: from the device to the routing decision. IPv4 and IPv6 beside each other.

Sources: net/ipv4/ip_input.c (ip_rcv_core, ip_rcv, ip_rcv_finish_core, ip_local_deliver), net/ipv6/ip6_input.c
(ip6_rcv_core, ip6_rcv_finish), net/ipv4/route.c (ip_error), net/ipv6/route.c (ip6_pkt_drop).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NF_INET_LOCAL_IN,
    NF_INET_PRE_ROUTING,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    PACKET_BROADCAST,
    PACKET_LOOPBACK,
    PACKET_MULTICAST,
    PACKET_OTHERHOST,
)
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk import br_netfilter, icmp, ip_forward, local, route
from pktdiag.walk.fib import describe
from pktdiag.walk.hook import run_hook
from pktdiag.walk.route import RouteResult
from pktdiag.walk.state import Walk

_ECN_COUNTERS = ("InNoECTPkts", "InECT1Pkts", "InECT0Pkts", "InCEPkts")


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """ip_rcv() / ipv6_rcv(): header checks, then PREROUTING, then :func:`finish`."""
    skb.iif = dev.ifindex
    if skb.tproxy_sock is not None:
        walk.step(ns, "ip-receive", dev, "The socket that TPROXY gave it as a bridged frame is taken from it again: IP receives it anew.")
    skb.sock = skb.tproxy_sock = None  # ip_rcv_core() / ip6_rcv_core() orphan it before any hook
    skb.extra.pop("ip options", None)  # and clear their control block
    skb.extra.pop("options written", None)
    skb.frag_max_size = 0
    if not dev.loopback and skb.pkt_type != PACKET_LOOPBACK:
        skb.route = None
    v4 = skb.packet.family == AF_INET
    if skb.pkt_type == PACKET_OTHERHOST:
        walk.drop(ns, "ip-receive", dev, skb, "OTHERHOST", f"The frame is addressed to another station, not to {dev.name}: IP ignores it.",
                  cause="otherhost")
        return
    walk.count(ns, "IpInReceives" if v4 else "Ip6InReceives",
               ("IpExt" if v4 else "Ip6") + _ECN_COUNTERS[skb.packet.tos & 3])
    if not v4 and _bad_header6(walk, ns, dev, skb):
        return
    if skb.packet.ext_headers:
        from pktdiag.walk import exthdrs

        if not exthdrs.hop_by_hop(walk, ns, dev, skb):
            return
    pf = NFPROTO_IPV4 if v4 else NFPROTO_IPV6
    if not br_netfilter.sabotages(ns, dev, skb) and \
            not run_hook(walk, ns, pf, NF_INET_PRE_ROUTING, skb, dev, None, "prerouting"):
        return
    finish(walk, ns, dev, skb)


def _bad_header6(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """ip6_rcv_core(): addresses that may not appear on a wire."""
    if ns.sysctl("net/ipv6/conf/all/disable_ipv6") == "1" or ns.sysctl(f"net/ipv6/conf/{dev.name}/disable_ipv6") == "1":
        walk.drop(ns, "ip-receive", dev, skb, "IPV6DISABLED", f"IPv6 is switched off on {dev.name} (disable_ipv6=1).",
                  counters=("Ip6InDiscards",), cause="ipv6-disabled")
        return True
    packet = skb.packet
    why = ""
    if addr.is_multicast(packet.src):
        why = "a multicast address cannot be a source"
    elif (addr.is_loopback(packet.src) or addr.is_loopback(packet.dst)) and not dev.loopback:
        why = f"::1 may not appear on {dev.name}"
    elif addr.is_multicast(packet.dst) and packet.dst[1] & 0x0F == 1 and not dev.loopback and skb.pkt_type != PACKET_LOOPBACK:
        why = "interface-local multicast may not appear on a link"
    elif addr.is_multicast(packet.dst) and packet.dst[1] & 0x0F == 0:
        why = "multicast scope 0 is reserved"
    if why:
        walk.drop(ns, "ip-receive", dev, skb, "IP_INHDR", f"Bad IPv6 header: {why}.", counters=("Ip6InHdrErrors",), cause="bad-header")
        return True
    return False


def finish(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """ip_rcv_finish() / ip6_rcv_finish(): the routing decision, and where it sends the packet. Also the way back in for
    packets that br_netfilter's DNAT detour hands to routing."""
    decision = skb.route if isinstance(skb.route, RouteResult) else None
    if decision is None or decision.kind == "error":
        if skb.packet.proto in (IPPROTO_TCP, IPPROTO_UDP) and decision is None and skb.tproxy_sock is None:
            skb.extra["routed as"] = skb.packet  # for early demux (sockets.demuxed)
        decision = route.input_(walk, ns, dev, skb.packet, skb.mark)
        skb.route = decision
        if decision.kind == "error":
            if not (skb.packet.ip_options and _has_route(decision) and not _options_received(walk, ns, dev, skb, decision)):
                refused(walk, ns, dev, skb, decision)
            return
        _say_route(walk, ns, dev, skb, decision)
    if skb.packet.ip_options and not _options_received(walk, ns, dev, skb, decision):
        return
    v4 = skb.packet.family == AF_INET
    if decision.kind == "multicast" and v4:
        walk.count(ns, "IpExtInMcastPkts")
    elif decision.kind == "broadcast":
        walk.count(ns, "IpExtInBcastPkts")
    elif v4 and skb.pkt_type in (PACKET_BROADCAST, PACKET_MULTICAST) and \
            addr.conf_or(ns, dev.name, "drop_unicast_in_l2_multicast"):
        walk.drop(ns, "ip-receive", dev, skb, "UNICAST_IN_L2_MULTICAST", "A unicast packet in a multicast frame "
                  f"(drop_unicast_in_l2_multicast=1 on {dev.name}).", cause="unicast-in-l2-multicast")
        return
    if not v4 and addr.is_multicast(skb.packet.dst):
        walk.count(ns, "Ip6InMcastPkts")
    if decision.kind in ("local", "broadcast", "multicast"):
        deliver_locally(walk, ns, dev, skb)
    else:
        ip_forward.forward(walk, ns, dev, skb, decision)


def _options_received(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult) -> bool:
    from pktdiag.walk import ip_options

    return ip_options.receive(walk, ns, dev, skb, decision)


def _has_route(decision: RouteResult) -> bool:
    """Whether a refusal is a route, which its packet takes only behind its options (ip_error), and no failure of the look-up."""
    return decision.error != "EXDEV" and decision.match is not None and decision.error != "EINVAL"


def _say_route(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult) -> None:
    if decision.kind == "unicast":
        out = ns.link(decision.oif)
        what = describe(decision.match) if decision.match else ""
        text = f"Routing: forward it out of {out.name if out else decision.oif} ({what})."
    else:
        text = f"Routing: deliver it here, {decision.text}." if decision.text else "Routing: deliver it here."
    walk.step(ns, "routing", dev, text, detail={"route": {"kind": decision.kind, "oif": decision.oif}})


def deliver_locally(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """ip_local_deliver(): fragments are put together, INPUT, then the protocols. IPv6: ip6_input(), where INPUT comes first."""
    if skb.packet.is_fragment and skb.packet.family == AF_INET:
        from pktdiag.walk import fragments

        if not fragments.gathered(walk, ns, dev, skb, "ip-receive"):
            return
    pf = NFPROTO_IPV4 if skb.packet.family == AF_INET else NFPROTO_IPV6
    if run_hook(walk, ns, pf, NF_INET_LOCAL_IN, skb, dev, None, "input"):
        local.deliver(walk, ns, dev, skb)


def refused(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult) -> None:
    """What routing's refusal does: a martian is dropped at once, an unreachable goes through ip_error() / ip6_pkt_discard()."""
    if skb.packet.family != AF_INET:
        _refused6(walk, ns, dev, skb, decision)
        return
    if decision.error == "EXDEV":
        walk.drop(ns, "routing", dev, skb, "IP_RPFILTER", decision.text + ".", counters=("TcpExtIPReversePathFilter",), cause="rp-filter")
        return
    if decision.match is None or decision.error == "EINVAL":
        cause = "blackhole-route" if decision.match is not None and decision.match.route is not None else "martian"
        reason = decision.reason if cause == "martian" else "NOT_SPECIFIED"
        walk.drop(ns, "routing", dev, skb, reason, decision.text + ".", cause=cause)
        return
    if decision.reason == "IP_INADDRERRORS":
        walk.drop(ns, "routing", dev, skb, "IP_INADDRERRORS", decision.text + ".", counters=("IpInAddrErrors",), cause="not-forwarding")
        return
    code, name = {"ENETUNREACH": (0, "net-unreachable"), "EACCES": (13, "admin-prohibited")}.get(
        decision.error or "", (1, "host-unreachable"))
    sent = icmp.error(walk, ns, skb, 3, code, dev=dev)
    walk.drop(ns, "routing", dev, skb, decision.reason, decision.text + ".",
              counters=("IpExtInNoRoutes",) if decision.error == "ENETUNREACH" else (),
              cause="no-route" if decision.match.route is None else "reject-route",
              answer=f"icmp {name}" if sent else None)


def _refused6(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult) -> None:
    """ip6_pkt_discard() and friends: the error route's input function counts and answers with ICMPv6. A blackhole's is
    dst_discard(), which does neither and names no reason (net/ipv6/route.c: ip6_rt_init_dst_reject, net/core/dst.c)."""
    if decision.match is None:
        walk.drop(ns, "routing", dev, skb, decision.reason, decision.text + ".", counters=("Ip6InAddrErrors",), cause="martian")
        return
    if decision.error == "EINVAL":
        walk.drop(ns, "routing", dev, skb, "NOT_SPECIFIED", decision.text + ".", cause="blackhole-route")
        return
    code, name = (1, "admin-prohibited") if decision.error == "EACCES" else (0, "no-route")
    sent = icmp.error(walk, ns, skb, 1, code, dev=dev)
    walk.drop(ns, "routing", dev, skb, "IP_INNOROUTES", decision.text + ".", counters=("Ip6InNoRoutes",),
              cause="no-route" if decision.match.route is None else "reject-route", answer=f"icmpv6 {name}" if sent else None)
