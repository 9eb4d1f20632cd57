"""Forwarding: a packet that came in and belongs elsewhere.

Sources: net/ipv4/ip_forward.c (ip_forward, ip_exceeds_mtu), net/ipv6/ip6_output.c (ip6_forward, ip6_pkt_too_big).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, NF_INET_FORWARD, NFPROTO_IPV4, NFPROTO_IPV6, PACKET_HOST
from pktdiag.model.trace import Receiver
from pktdiag.model.versions import since_6_7
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk import icmp, ip_output, route
from pktdiag.walk.hook import run_hook
from pktdiag.walk.learned import forward_limit
from pktdiag.walk.route import RouteResult
from pktdiag.walk.state import Walk

# ip_tos2prio[], net/ipv4/route.c: best effort, bulk, interactive, interactive bulk; ip_forward() sets it from the TOS
TOS_TO_PRIORITY = (0, 2, 6, 4)


def forward(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult) -> None:
    """ip_forward() / ip6_forward() up to and including the FORWARD hook, then on to :mod:`ip_output`."""
    out = ns.link(decision.oif)
    if out is None:
        walk.drop(ns, "forward", dev, skb, "NOT_SPECIFIED", f"Interface {decision.oif} of the route is gone.", cause="device-gone")
        return
    if skb.packet.family == AF_INET:
        ready = _checks4(walk, ns, dev, skb, decision, out)
    else:
        ready = _checks6(walk, ns, dev, skb, decision, out)
    if not ready:
        return
    skb.packet = skb.packet._replace(ttl=skb.packet.ttl - 1)
    if skb.packet.family == AF_INET:
        skb.priority = TOS_TO_PRIORITY[(skb.packet.tos & 0x1E) >> 3]
    pf = NFPROTO_IPV4 if skb.packet.family == AF_INET else NFPROTO_IPV6
    if run_hook(walk, ns, pf, NF_INET_FORWARD, skb, dev, out, "forward"):
        _count(walk, ns, skb)
        skb.extra.pop("options written", None)  # ip_forward_options() makes the header's checksum right again
        ip_output.output(walk, ns, out, skb, decision, dev)
    elif _counts_early(ns):
        _count(walk, ns, skb)


def _count(walk: Walk, ns: NamespaceView, skb: Skb) -> None:
    walk.count(ns, "IpForwDatagrams" if skb.packet.family == AF_INET else "Ip6OutForwDatagrams")


def _counts_early(ns: NamespaceView) -> bool:
    """Whether a packet that the FORWARD hook drops, or (IPv4) one that is too big, counts as forwarded: since v6.7 (commit
    cf8b49fbd041); before it ip_forward_finish() and ip6_forward_finish() count what has passed the hook. The counter OutTransmits
    of that version says nothing: it was carried over to v6.6 without this."""
    return since_6_7(ns)


def _checks4(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult, out: Link) -> bool:
    packet = skb.packet
    if not _free_to_go(walk, ns, dev, skb, out):
        return False
    if packet.ip_options:
        from pktdiag.walk import ip_options

        if ip_options.taken_by_alert(walk, ns, skb):
            _alerted(walk, ns, dev, skb)
            return False
    if packet.ttl <= 1:
        sent = icmp.error(walk, ns, skb, 11, 0, dev=dev)
        walk.drop(ns, "forward", dev, skb, "IP_INHDR", f"TTL {packet.ttl} is used up.", counters=("IpInHdrErrors",),
                  cause="ttl-exceeded", answer="icmp time-exceeded" if sent else None)
        return False
    way = forward_limit(ns, out, packet, decision)
    if packet.length > way.mtu and packet.df and not skb.local_df:
        sent = icmp.error(walk, ns, skb, 3, 4, dev=dev, info=way.mtu)
        walk.drop(ns, "forward", dev, skb, "PKT_TOO_BIG", f"{packet.length} bytes with don't-fragment do not fit {way.limit}.",
                  counters=("IpForwDatagrams", "IpFragFails") if _counts_early(ns) else ("IpFragFails",), cause="mtu-exceeded",
                  answer="icmp fragmentation-needed" if sent else None)
        return False
    return True


def _free_to_go(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, out: Link) -> bool:
    """What ip_forward() and ip6_forward() look at before the packet itself."""
    if skb.pkt_type != PACKET_HOST:
        walk.drop(ns, "forward", dev, skb, "NOT_SPECIFIED", "Only frames addressed to this host are forwarded; this one came as "
                  "broadcast or multicast.", cause="not-for-forwarding")
        return False
    if skb.tproxy_sock is not None:  # skb->sk
        walk.drop(ns, "forward", dev, skb, "NOT_SPECIFIED", f"TPROXY gave it to a socket of this host, but the routes send it on through "
                  f"{out.name}: what has a socket is not forwarded.", cause="tproxy-forwarded")
        return False
    if any(ns.xfrm_policies()):
        from pktdiag.walk import ipsec

        return ipsec.forwards(walk, ns, dev, out, skb)
    return True


def _alerted(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    walk.deliver(ns, dev, skb, Receiver(ns.id, None, None, walk.host.container_of(ns.id), None),
                 "A raw socket that asked for router alerts takes it instead of sending it on.")


def _checks6(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult, out: Link) -> bool:
    packet = skb.packet
    if not route.forwards6(ns, dev):
        walk.drop(ns, "forward", dev, skb, "IP_INADDRERRORS",
                  "The destination is not an address of this namespace, and it does not forward IPv6 (net.ipv6.conf.all.forwarding=0).",
                  counters=("Ip6InAddrErrors",), cause="not-forwarding")
        return False
    if not _free_to_go(walk, ns, dev, skb, out):
        return False
    if packet.ext_headers:
        from pktdiag.walk import exthdrs

        if exthdrs.taken_by_alert(walk, ns, packet):
            _alerted(walk, ns, dev, skb)
            return False
    if packet.ttl <= 1:
        sent = icmp.error(walk, ns, skb, 3, 0, dev=dev)
        walk.drop(ns, "forward", dev, skb, "IP_INHDR", f"Hop limit {packet.ttl} is used up.", counters=("Ip6InHdrErrors",),
                  cause="ttl-exceeded", answer="icmpv6 time-exceeded" if sent else None)
        return False
    if addr.is_any(packet.src) or addr.is_multicast(packet.src) or addr.is_loopback(packet.src):
        walk.drop(ns, "forward", dev, skb, "IP_INADDRERRORS", "The source address may not be forwarded.", counters=("Ip6InAddrErrors",),
                  cause="bad-source")
        return False
    if addr.is_link_local(packet.src) and out.ifindex != dev.ifindex:
        sent = icmp.error(walk, ns, skb, 1, 2, dev=dev)
        walk.drop(ns, "forward", dev, skb, "IP_INADDRERRORS", "A link-local source may not leave its link.", counters=("Ip6InAddrErrors",),
                  cause="bad-source", answer="icmpv6 beyond-scope" if sent else None)
        return False
    way = forward_limit(ns, out, packet, decision)
    if packet.length > way.mtu and not (skb.local_df and skb.frag_max_size <= way.mtu):  # ip6_pkt_too_big()
        sent = icmp.error(walk, ns, skb, 2, 0, dev=dev, info=way.mtu)
        walk.drop(ns, "forward", dev, skb, "PKT_TOO_BIG", f"{packet.length} bytes do not fit {way.limit}.",
                  counters=("Ip6InTooBigErrors", "Ip6FragFails"), cause="mtu-exceeded", answer="icmpv6 packet-too-big" if sent else None)
        return False
    return True
