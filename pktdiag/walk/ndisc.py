"""Neighbour discovery: the IPv6 counterpart of ARP. Solicitations and advertisements are IPv6 packets and meet the IPv6
hooks on both sides.

Source: net/ipv6/ndisc.c (ndisc_solicit, ndisc_send_skb, ndisc_recv_ns, ndisc_recv_na, pndisc_redo).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET6,
    IPPROTO_ICMPV6,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NFPROTO_IPV6,
    PACKET_HOST,
    PACKET_OTHERHOST,
)
from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk import br_netfilter, device, ethernet, neighbour, route, vxlan
from pktdiag.walk.hook import run_hook
from pktdiag.walk.state import Walk

SOLICITATION, ADVERTISEMENT = 135, 136
_POLICY_IN, _POLICY_OUT = 0, 1
"""``ipsec_policies.IN``, ``OUT``."""


def solicited_node(address: bytes) -> bytes:
    """ff02::1:ffXX:XXXX"""
    return b"\xff\x02" + bytes(9) + b"\1\xff" + address[13:]


def solicit(walk: Walk, ns: NamespaceView, dev: Link, target: bytes, skb: Skb) -> None:
    """ndisc_solicit(): to the solicited-node group, from the packet's source if that is an address of this device, else from
    the device's link-local address. Without one nothing is sent (ndisc_send_ns)."""
    own = _own(ns, dev)
    source = skb.packet.src if skb.packet.src in own else next((item for item in own if addr.is_link_local(item)), None)
    if source is None:
        neighbour.note(walk, ns, dev, f"{dev.name} has no link-local address to ask from.", "no-link-local")
        return
    group = solicited_node(target)
    _send(walk, ns, dev, SOLICITATION, source, group, target, ethernet.multicast_mac(group))


def _own(ns: NamespaceView, dev: Link) -> list[bytes]:
    return [item.local for item in ns.addresses(AF_INET6) if item.ifindex == dev.ifindex
            and (not item.flags & addr.IFA_F_TENTATIVE or item.flags & addr.IFA_F_OPTIMISTIC)]


def asks_without_packet(ns: NamespaceView, dev: Link) -> bool:
    """Whether a question goes out when no packet waits whose source it could bear (ndisc_solicit with no skb)."""
    return any(addr.is_link_local(item) for item in _own(ns, dev))


def _send(walk: Walk, ns: NamespaceView, dev: Link, kind: int, src: bytes, dst: bytes, target: bytes, dst_mac: bytes) -> None:
    """ndisc_send_skb(): OUTPUT, POSTROUTING, out."""
    packet = Packet(src=src, dst=dst, proto=IPPROTO_ICMPV6, icmp_type=kind, ttl=255, length=72, tcp_flags=0, df=False)
    skb = Skb(packet)
    skb.extra["ndisc"] = (target, dev.mac)
    skb.extra["kernel socket"] = ns.id  # ndisc_alloc_skb(): net->ipv6.ndisc_sk owns it
    skb.extra["notrack"] = True  # nf_conntrack leaves neighbour discovery untracked (icmpv6_error)
    if not _allowed(walk, ns, dev, skb, _POLICY_OUT) or \
            not run_hook(walk, ns, NFPROTO_IPV6, NF_INET_LOCAL_OUT, skb, None, dev, "output"):
        return
    # ndisc_alloc_skb() sets skb->dev, which ip6_output() hands to POSTROUTING as the device the packet came in on.
    if not run_hook(walk, ns, NFPROTO_IPV6, NF_INET_POST_ROUTING, skb, dev, dev, "postrouting"):
        return
    skb.src_mac, skb.dst_mac = dev.mac, dst_mac
    device.transmit(walk, ns, dev, skb)


def _allowed(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, direction: int) -> bool:
    if not any(ns.xfrm_policies()):
        return True
    from pktdiag.walk import ipsec

    return ipsec.discovers(walk, ns, dev, skb, direction)


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """Up to ndisc_rcv(): PREROUTING and INPUT see it, then the target is looked for."""
    if skb.pkt_type == PACKET_OTHERHOST or addr.conf(ns, AF_INET6, dev.name, "disable_ipv6"):
        return
    if not br_netfilter.sabotages(ns, dev, skb) and \
            not run_hook(walk, ns, NFPROTO_IPV6, NF_INET_PRE_ROUTING, skb, dev, None, "prerouting"):
        return
    found = skb.extra["ndisc"]
    assert isinstance(found, tuple)
    target, mac = found
    solicitation = skb.packet.icmp_type == SOLICITATION
    mine = any(item.ifindex == dev.ifindex and item.local == target and not item.flags & addr.IFA_F_TENTATIVE
               for item in ns.addresses(AF_INET6))
    if not (_hears(ns, dev, skb.packet.dst) if addr.is_multicast(skb.packet.dst) else addr.is_local(ns, skb.packet.dst)):
        if not solicitation and not addr.is_multicast(skb.packet.dst):
            _astray(walk, ns, dev, skb, target)
        return
    if not run_hook(walk, ns, NFPROTO_IPV6, NF_INET_LOCAL_IN, skb, dev, None, "input") or \
            not _allowed(walk, ns, dev, skb, _POLICY_IN):
        return
    if skb.packet.ttl != 255:  # ndisc_rcv(): forged, as far as it can tell
        walk.drop(ns, "neighbour", dev, skb, "IPV6_NDISC_HOP_LIMIT", f"Neighbour discovery came in on {dev.name} with hop limit "
                  f"{skb.packet.ttl} and is ignored: only 255 proves that it was sent on this link.", cause="ndisc-hop-limit")
        return
    if not solicitation:
        if ("resolving", ns.id, dev.ifindex, target) in walk.memory or neighbour.entry(ns, dev, target) is not None:
            neighbour.learn(walk, ns, dev, target, mac)
        return
    if not mine and not (_proxies(walk, ns, dev, target)
                         and (skb.pkt_type == PACKET_HOST or neighbour.proxy_in_time(walk, ns, dev, "ipv6", target))):
        return
    neighbour.learn(walk, ns, dev, skb.packet.src, mac)
    _send(walk, ns, dev, ADVERTISEMENT, target if mine else _own_source(ns, dev, skb.packet.src), skb.packet.src, target, mac)


def _astray(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, target: bytes) -> None:
    """An answer that a rule (DNPT) has given another destination is forwarded like any packet. Where its way leads through the neighbour
    that it is the answer about, it waits for that neighbour itself, in the queue of those that fail together (neigh_invalidate)."""
    if not route.forwards6(ns, dev):
        return
    decision = route.output(walk, ns, Packet(src=bytes(16), dst=skb.packet.dst, proto=IPPROTO_ICMPV6))
    if decision.kind == "unicast" and decision.oif == dev.ifindex and (decision.gateway or skb.packet.dst) == target:
        walk.memory.setdefault("answers astray", set()).add((ns.id, dev.ifindex, target))


def _hears(ns: NamespaceView, dev: Link, group: bytes) -> bool:
    """ip6_mc_input(): a solicited-node group nobody here is in ends before INPUT. In it are the device's addresses
    (addrconf_join_solict), those it answers for as a proxy (pndisc_constructor), a router's anycast (addrconf_join_anycast)."""
    members = [item.local for item in ns.addresses(AF_INET6) if item.ifindex == dev.ifindex]
    if any(member[13:] == group[13:] for member in members):
        return True
    if not any(group[13:]) and members and addr.conf(ns, AF_INET6, dev.name, "forwarding"):
        return True
    return any(item.proxy and item.dst[13:] == group[13:] for item in ns.neighbours(AF_INET6, dev.ifindex))


def _own_source(ns: NamespaceView, dev: Link, dst: bytes) -> bytes:
    return addr.select_address6(ns, dev, dst)


def _proxies(walk: Walk, ns: NamespaceView, dev: Link, target: bytes) -> bool:
    """ndisc_recv_ns(): a proxy entry, with forwarding and proxy_ndp on."""
    forwarding = addr.conf(ns, AF_INET6, "all", "forwarding") or addr.conf(ns, AF_INET6, dev.name, "forwarding")
    proxy = addr.conf(ns, AF_INET6, "all", "proxy_ndp") or addr.conf(ns, AF_INET6, dev.name, "proxy_ndp")
    if not forwarding or not proxy:
        return False
    if ns.neighbour(AF_INET6, dev.ifindex, target, True) is None:
        return False
    decision = route.output(walk, ns, Packet(src=bytes(16), dst=target, proto=IPPROTO_ICMPV6))
    return decision.kind == "unicast" and decision.oif != dev.ifindex


def answer_from_outside(walk: Walk, ns: NamespaceView, dev: Link, request: Skb, station: bytes) -> None:
    """A station beyond ``dev`` answers the solicitation that left there."""
    inner = request.extra.get("vxlan")
    if isinstance(inner, vxlan.Payload):
        answer_from_outside(walk, inner.ns, inner.dev, inner.frame, station)
        return
    found = request.extra.get("ndisc")
    if not isinstance(found, tuple):
        return
    packet = Packet(src=found[0], dst=request.packet.src, proto=IPPROTO_ICMPV6, icmp_type=ADVERTISEMENT, ttl=255, length=72, tcp_flags=0)
    reply = Skb(packet)
    reply.extra["ndisc"] = (found[0], station)
    reply.src_mac, reply.dst_mac = station, found[1]
    walk.enqueue(lambda: device.receive(walk, ns, dev, reply), ns, dev, reply)
