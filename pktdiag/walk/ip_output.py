"""Sending: OUTPUT for the host's own packets, POSTROUTING and the way to the neighbour for all.

Sources: net/ipv4/ip_output.c (__ip_local_out, ip_output, ip_mc_output, ip_finish_output, ip_fragment, ip_finish_output2),
net/ipv4/netfilter.c (ip_route_me_harder), net/ipv6/ip6_output.c, net/ipv6/netfilter.c.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET,
    IPPROTO_DCCP,
    IPPROTO_ICMP,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    PACKET_LOOPBACK,
    RTN_LOCAL,
    RTN_UNICAST,
)
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import DEPENDS
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk import icmp, learned, route
from pktdiag.walk.fib import describe
from pktdiag.walk.hook import run_hook
from pktdiag.walk.learned import SMALLEST_PMTU, Way
from pktdiag.walk.route import RouteResult
from pktdiag.walk.state import Walk

SEGMENTED = frozenset((IPPROTO_TCP, IPPROTO_DCCP, IPPROTO_SCTP))
"""Protocols whose sockets send nothing that is larger than the path's MTU."""


class Client(NamedTuple):
    """The question's own sender: no socket on the host stands for it, so answers are matched with this."""

    netns: str
    packet: Packet
    """As it left the sender, before any NAT."""


def send(walk: Walk, ns: NamespaceView, skb: Skb, *, oif: int = 0, uid: int = 0, any_source: bool = False) -> None:
    """A packet of this namespace's own: route it, choose its source, run OUTPUT, send it."""
    asked = skb.packet
    if oif:
        skb.extra["bound-device"] = oif
        bound = ns.link(oif)
        if bound is not None and "vrf" in (bound.kind, bound.slave_kind):
            # l3mdev_update_flow(): what is asked of the device is asked of the VRF's own table (net/l3mdev/l3mdev.c)
            walk.unsure(ns, "routing", bound, skb, f"how the VRF that {bound.name} belongs to routes it, which is not modelled")
            return
    if skb.extra.get("header_included"):
        # raw_sendmsg() routes before it looks at the header it was given: no source (the socket is not bound), no ports, and the
        # socket's own protocol, IPPROTO_RAW (net/ipv4/raw.c; net/ipv6/raw.c alike).
        asked = asked._replace(src=bytes(len(asked.dst)), proto=255, sport=0, dport=0, tos=0)
    decision = route.output(walk, ns, asked, oif=oif, mark=skb.mark, uid=uid, any_source=any_source)
    skb.route = decision
    own = any_source or skb.extra.get("answer_kind") not in (None, "udp-reply")  # the kernel's, no socket's
    if decision.kind == "error":
        counters = _no_route_counters(skb, decision, own)
        if skb.extra.get("answer_kind") == "syn-ack":
            # tcp_conn_request() gives the SYN up without a word; inet_csk_route_req() has counted.
            counters = ("IpOutNoRoutes" if skb.packet.family == AF_INET else "Ip6OutNoRoutes", "TcpExtListenDrops")
        walk.drop(ns, "routing", None, skb, decision.reason or "NOT_SPECIFIED", f"The sender gets {decision.error}: {decision.text}.",
                  counters=counters, cause="no-route" if decision.match is not None else "bad-source")
        return
    if skb.packet.family == AF_INET and skb.packet.proto == IPPROTO_TCP and addr.is_any(asked.src) and not own:
        # ip_route_connect(): once the source is chosen the question is asked again with it.
        decision = route.output(walk, ns, asked._replace(src=decision.src), oif=oif, mark=skb.mark, uid=uid)
        skb.route = decision
        if decision.kind == "error":
            walk.drop(ns, "routing", None, skb, decision.reason or "NOT_SPECIFIED", f"The sender gets {decision.error}: {decision.text}.",
                      counters=_no_route_counters(skb, decision, own), cause="no-route")
            return
    if decision.kind in ("broadcast", "multicast") and skb.packet.proto == IPPROTO_TCP and not own:
        # tcp_v4_connect(): a connection has one other end.
        walk.drop(ns, "routing", None, skb, "IP_OUTNOROUTES", f"The sender gets ENETUNREACH: TCP cannot connect to "
                  f"{format_address(skb.packet.dst)}, a {decision.kind} address here.", cause="tcp-broadcast")
        return
    if decision.kind == "broadcast" and skb.extra.get("answer_kind") == "udp-reply":
        walk.drop(ns, "routing", None, skb, "IP_OUTNOROUTES", f"The sender gets EACCES: {format_address(skb.packet.dst)} is a broadcast "
                  "address, and its socket has no SO_BROADCAST.", cause="no-broadcast")  # udp_sendmsg()
        return
    if addr.is_any(skb.packet.src):
        skb.packet = skb.packet._replace(src=decision.src)
    walk.memory.setdefault("client", Client(ns.id, skb.packet))
    out = ns.link(decision.oif)
    if out is None:
        walk.drop(ns, "routing", None, skb, "NOT_SPECIFIED", f"Interface {decision.oif} is gone.", cause="device-gone")
        return
    if any(ns.xfrm_policies()):
        from pktdiag.walk import ipsec

        if not ipsec.sends(walk, ns, out, skb, asked._replace(src=decision.src) if addr.is_any(asked.src) else asked):
            return
    if skb.extra.get("header_included") and skb.packet.length > out.mtu:
        walk.drop(ns, "local-output", None, skb, "PKT_TOO_BIG", f"The sender gets EMSGSIZE: a raw socket sends no packet larger than "
                  f"the MTU {out.mtu} of {out.name}.", cause="mtu-exceeded")  # raw_send_hdrinc(), rawv6_send_hdrinc()
        return
    if skb.packet.proto == IPPROTO_ICMP and skb.packet.family == AF_INET and (skb.extra.get("header_included") or not own):
        walk.count(ns, *icmp.sent_by_socket(skb.packet))
    what = describe(decision.match) if decision.match else "on-link"
    walk.step(ns, "routing", out, f"Routing: out of {out.name} ({what}), source {format_address(skb.packet.src)}.",
              detail={"route": {"kind": decision.kind, "oif": decision.oif}})
    if skb.packet.length > SMALLEST_PMTU and skb.packet.proto not in SEGMENTED and not skb.extra.get("header_included") \
            and not _laid_out(walk, ns, out, skb, decision):
        return
    local_out(walk, ns, skb, decision, out)


def _laid_out(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, decision: RouteResult) -> bool:
    """__ip_append_data(), __ip_make_skb(): what does not fit the first route's MTU may be cut on its way, and so bears no don't-fragment,
    unless its socket never allows that (ip_sk_ignore_df). False: it ended."""
    way = learned.way_of(ns, out, skb.packet, decision, forwarded=False)
    if skb.packet.length <= way.mtu:
        return True
    if not walk.memory.get("replying"):
        if walk.question.never_cut:
            walk.drop(ns, "local-output", out, skb, "PKT_TOO_BIG", f"The sender gets EMSGSIZE: {skb.packet.length} bytes do not fit "
                      f"{way.limit}, and its socket asks that nothing be cut (--df).", cause="mtu-exceeded")
            return False
        if skb.packet.df:
            walk.assume("the sender's socket lets the kernel cut it into fragments, as sockets do (--df: it does not, IP_MTU_DISCOVER)")
    from pktdiag.walk import pieces

    pieces.corked(skb, way.mtu)
    skb.packet = skb.packet._replace(df=False)
    return True


def _no_route_counters(skb: Skb, decision: RouteResult, any_source: bool) -> tuple[str, ...]:
    """IPv4: counted by udp_sendmsg(), tcp_v4_connect() and ping_v4_sendmsg(), not by raw_sendmsg() nor for the kernel's own
    answers. IPv6: by ip6_dst_lookup_tail(), whoever asks; REJECT's resets do not (nf_send_reset6)."""
    if decision.error != "ENETUNREACH":
        return ()
    if skb.packet.family == AF_INET:
        return () if any_source else ("IpOutNoRoutes",)
    return () if skb.extra.get("answer_of_rule") else ("Ip6OutNoRoutes",)


def local_out(walk: Walk, ns: NamespaceView, skb: Skb, decision: RouteResult, out: Link) -> None:
    """__ip_local_out(): the OUTPUT hook, with rerouting where a rule changed what routing looked at."""
    v4 = skb.packet.family == AF_INET
    walk.count(ns, "IpOutRequests" if v4 else "Ip6OutRequests")
    if not run_hook(walk, ns, NFPROTO_IPV4 if v4 else NFPROTO_IPV6, NF_INET_LOCAL_OUT, skb, None, out, "output"):
        discarded(walk, ns, skb)
        return
    rerouted = skb.route
    if isinstance(rerouted, RouteResult) and rerouted is not decision:  # at once, by the rule that changed it (services.reroute)
        new_out = ns.link(rerouted.oif)
        if new_out is None:
            walk.drop(ns, "output", out, skb, "NETFILTER_DROP", f"After the change in OUTPUT there is no way: {rerouted.text}.",
                      cause="no-route")
            discarded(walk, ns, skb)
            return
        if new_out.ifindex != out.ifindex or rerouted.kind != decision.kind:
            what = describe(rerouted.match) if rerouted.match else "on-link"
            walk.step(ns, "routing", new_out, f"Routing again after OUTPUT: out of {new_out.name} ({what}).",
                      detail={"route": {"kind": rerouted.kind, "oif": rerouted.oif}})
        decision, out = rerouted, new_out
    output(walk, ns, out, skb, decision, None)


def me_harder(walk: Walk, ns: NamespaceView, skb: Skb) -> RouteResult:
    """ip_route_me_harder(): from any unicast source, and as from none where the source is a broadcast address or worse; out of
    the device the socket is bound to. ip6_route_me_harder(): a link-local or group destination stays on its device, and having no
    way is counted."""
    packet = skb.packet
    if packet.family == AF_INET and addr.address_type(ns, packet.src) not in (RTN_LOCAL, RTN_UNICAST):
        packet = packet._replace(src=bytes(4))
    bound = skb.extra.get("bound-device")
    oif = bound if isinstance(bound, int) else 0
    if not oif and packet.family != AF_INET and (addr.is_link_local(packet.dst) or addr.is_multicast(packet.dst)):
        oif = getattr(skb.route, "oif", 0)
    if packet.family == AF_INET and not oif and (addr.is_multicast(packet.dst) or addr.is_limited_broadcast(packet.dst)) \
            and not addr.is_any(packet.src) and not addr.is_local(ns, packet.src):
        # ip_route_output_key_hash_rcu(): the source's device would be the way
        return RouteResult("error", "ENETUNREACH", 0, None, b"", None, None, "IP_OUTNOROUTES",
                           f"{format_address(packet.src)} is on no device of this namespace")
    found = route.output(walk, ns, packet, oif=oif, mark=skb.mark, any_source=True)
    if found.kind == "error" and packet.family != AF_INET:
        walk.count(ns, "Ip6OutNoRoutes")
    return found


def output(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, decision: RouteResult, indev: Link | None) -> None:
    """ip_output() / ip6_output(): the POSTROUTING hook, then :func:`finish`; broadcast and multicast are heard here too."""
    v4 = skb.packet.family == AF_INET
    if not v4 and addr.conf(ns, 10, out.name, "disable_ipv6"):
        walk.drop(ns, "postrouting", out, skb, "IPV6DISABLED", f"IPv6 is switched off on {out.name} (disable_ipv6=1).",
                  counters=("Ip6OutDiscards",), cause="ipv6-disabled")
        return
    pf = NFPROTO_IPV4 if v4 else NFPROTO_IPV6
    if indev is None and decision.local_copy and not out.loopback:
        copy = skb.copy()
        copy.sock = None  # skb_clone(): a clone is nobody's
        copy.extra.pop("kernel socket", None)
        if run_hook(walk, ns, pf, NF_INET_POST_ROUTING, copy, None, out, "postrouting"):
            _loop_back(walk, ns, out, copy)
    if run_hook(walk, ns, pf, NF_INET_POST_ROUTING, skb, indev, out, "postrouting"):
        finish(walk, ns, out, skb, decision, forwarded=indev is not None)
    elif indev is None:
        discarded(walk, ns, skb)


def discarded(walk: Walk, ns: NamespaceView, skb: Skb) -> None:
    """The sender's own count of a packet the host refused to send: ip_send_skb(), raw_send_hdrinc() and ip6_send_skb() have one;
    TCP (ip_queue_xmit, ip_build_and_send_pkt, tcp_v6_send_response) and the resets of rules (nf_send_reset) do not."""
    end = walk.leg.fates[-1] if walk.leg.fates else None
    if end is None or end.drop is None or end.verdict == DEPENDS or end.drop.cause == "queue":
        return  # what was queued counts as sent, whatever becomes of it (nf_queue)
    extra = skb.extra
    own = skb.packet.proto != IPPROTO_TCP or extra.get("header_included") or \
        (extra.get("answer_kind") == "rst" and not extra.get("answer_of_rule") and skb.packet.family == AF_INET)
    if own:
        walk.count(ns, "IpOutDiscards" if skb.packet.family == AF_INET else "Ip6OutDiscards")


def _loop_back(walk: Walk, ns: NamespaceView, out: Link, skb: Skb) -> None:
    """dev_loopback_xmit(): received again on the sending device, invisible to taps (PACKET_LOOPBACK)."""
    from pktdiag.walk import device

    skb.sock = None
    skb.pkt_type = PACKET_LOOPBACK  # and the output's route stays with it: no second lookup, no source validation
    walk.enqueue(lambda: device.looped(walk, ns, out, skb), ns, out, skb)


def finish(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, decision: RouteResult, *, forwarded: bool) -> None:
    """ip_finish_output() / ip6_finish_output(): size against MTU. What came in fragments, and was put together only to be looked at
    (nf_defrag), goes on in fragments no larger than those."""
    packet = skb.packet
    if "under ipsec policies" in skb.extra:
        from pktdiag.walk import ipsec

        if ipsec.changed(walk, ns, out, skb):
            return
    way = learned.way_of(ns, out, packet, decision, forwarded=forwarded)
    if way.text:
        walk.step(ns, "routing", out, f"For {format_address(packet.dst)}, {way.text}.", detail={"learned": {"mtu": way.mtu}})
    came_as = skb.frag_max_size
    if packet.length > way.mtu or (came_as and (packet.family == AF_INET or packet.length > came_as)):
        _fragment(walk, ns, out, skb, decision, way, forwarded)
    else:
        _finish2(walk, ns, out, skb, decision, way)


def _finish2(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, decision: RouteResult, way: Way) -> None:
    """ip_finish_output2() / ip6_finish_output2(): to the neighbour."""
    from pktdiag.walk import neighbour

    packet = skb.packet
    walk.count(ns, "IpOutTransmits" if packet.family == AF_INET else "Ip6OutTransmits")
    if packet.family == AF_INET:
        if decision.kind == "multicast":
            walk.count(ns, "IpExtOutMcastPkts")
        elif decision.kind == "broadcast":
            walk.count(ns, "IpExtOutBcastPkts")
    elif addr.is_multicast(packet.dst):
        walk.count(ns, "Ip6OutMcastPkts")
    neighbour.output(walk, ns, out, way.next_hop, skb)


def _fragment(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, decision: RouteResult, way: Way, forwarded: bool) -> None:
    """ip_fragment() / ip6_fragment(). A socket's packets may be cut (ignore_df), and those that came in fragments no larger than the MTU;
    others only as their sender says, those of IPv6 not at all."""
    packet, mtu, came_as = skb.packet, way.mtu, skb.frag_max_size
    v4, extra = packet.family == AF_INET, skb.extra
    others = forwarded or bool(extra.get("header_included")) or ("duplicate" in extra and bool(skb.iif))
    allowed = came_as <= mtu and (bool(came_as) or skb.local_df or not others)
    if not allowed and (packet.df or not v4):
        sent = icmp.error(walk, ns, skb, 3 if v4 else 2, 4 if v4 else 0, dev=out, info=mtu)
        walk.drop(ns, "fragment", out, skb, "NOT_SPECIFIED",
                  f"{packet.length} bytes may not be fragmented and do not fit {way.limit}.",
                  counters=("IpFragFails" if v4 else "Ip6FragFails",), cause="mtu-exceeded",
                  answer=("icmp fragmentation-needed" if v4 else "icmpv6 packet-too-big") if sent else None)
        return
    from pktdiag.walk import pieces

    if packet.proto in SEGMENTED and not others:
        walk.unsure(ns, "fragment", out, skb, f"how its sender divides {packet.length} bytes for {way.limit}: into segments of its own, no "
                    f"fragments (ask with --size {mtu} for one that fits)")
        return
    if "vxlan" in extra and (packet.df or not v4):
        walk.unsure(ns, "fragment", out, skb, f"whether a tunnel's packet of {packet.length} bytes is cut "
                    f"for {way.limit}, which is not modelled")
        return
    pieces.cut(walk, ns, out, skb, mtu, way.limit, lambda piece: _finish2(walk, ns, out, piece, decision, way))
