"""ARP: who asks, who answers.

Source: net/ipv4/arp.c (arp_solicit, arp_rcv, arp_process, arp_ignore, arp_filter, arp_fwd_proxy, arp_fwd_pvlan),
net/ipv4/devinet.c (inet_confirm_addr).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET,
    ARPOP_REPLY,
    ARPOP_REQUEST,
    ETH_P_ARP,
    IFF_NOARP,
    NF_ARP_IN,
    NF_ARP_OUT,
    NFPROTO_ARP,
    PACKET_HOST,
    PACKET_LOOPBACK,
    PACKET_OTHERHOST,
    RT_SCOPE_HOST,
    RT_SCOPE_LINK,
    RTN_LOCAL,
)
from pktdiag.model.packet import Arp, Packet, format_address, in_prefix
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk import device, ethernet, neighbour, route, vxlan
from pktdiag.walk.hook import run_hook
from pktdiag.walk.state import Walk

NO_MAC = bytes(6)


def frame(op: int, src_mac: bytes, sender: bytes, target_mac: bytes, target: bytes, dst_mac: bytes) -> Skb:
    """One ARP frame. Its ``packet`` only mirrors the addresses."""
    skb = Skb(Packet(src=sender, dst=target, proto=0, length=ethernet.ARP_LENGTH))
    skb.ethertype = ETH_P_ARP
    skb.arp = Arp(op, src_mac, sender, target_mac, target)
    skb.src_mac, skb.dst_mac = src_mac, dst_mac
    return skb


def solicit(walk: Walk, ns: NamespaceView, dev: Link, target: bytes, skb: Skb) -> None:
    """arp_solicit(): a broadcast request. arp_announce decides which of our addresses it names."""
    announce = addr.conf_max(ns, dev.name, "arp_announce")
    source = skb.packet.src if len(skb.packet.src) == 4 else addr.ANY4
    local = addr.address_type(ns, source) == RTN_LOCAL
    sender = addr.ANY4
    if (announce == 0 and local) or (announce == 1 and local and _same_subnet(ns, dev, target, source)):
        sender = source
    if addr.is_any(sender):
        sender = addr.select_address(ns, dev, target, RT_SCOPE_LINK)
    send(walk, ns, dev, frame(ARPOP_REQUEST, dev.mac, sender, NO_MAC, target, ethernet.BROADCAST))


def _same_subnet(ns: NamespaceView, dev: Link, target: bytes, source: bytes) -> bool:
    """inet_addr_onlink(): one subnet of the device holds both."""
    return any(item.ifindex == dev.ifindex and in_prefix(target, item.peer or item.local, item.prefixlen)
               and in_prefix(source, item.peer or item.local, item.prefixlen) for item in ns.addresses(AF_INET))


def send(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """arp_xmit(): through the arp family's output hook."""
    if not dev.flags & IFF_NOARP and run_hook(walk, ns, NFPROTO_ARP, NF_ARP_OUT, skb, None, dev, "arp"):
        device.transmit(walk, ns, dev, skb)


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """arp_rcv(), arp_process()"""
    if dev.flags & IFF_NOARP or skb.pkt_type in (PACKET_OTHERHOST, PACKET_LOOPBACK):
        return
    if not run_hook(walk, ns, NFPROTO_ARP, NF_ARP_IN, skb, dev, None, "arp"):
        return
    arp = skb.arp  # as the rules left it
    if not isinstance(arp, Arp):
        return
    if not any(item.ifindex == dev.ifindex for item in ns.addresses(AF_INET)) and not _has_in_device(ns, dev):
        return
    if addr.is_multicast(arp.target) or (addr.is_loopback(arp.target) and not addr.conf_or(ns, dev.name, "route_localnet")):
        return
    if arp.sender == arp.target and addr.conf_or(ns, dev.name, "drop_gratuitous_arp"):
        return
    if addr.is_any(arp.sender):
        if arp.op == ARPOP_REQUEST and addr.address_type(ns, arp.target) == RTN_LOCAL and not _ignores(ns, dev, arp):
            _reply(walk, ns, dev, arp)
        return
    if arp.op == ARPOP_REQUEST and _answers(walk, ns, dev, skb, arp):
        return
    _update(walk, ns, dev, arp)


def _has_in_device(ns: NamespaceView, dev: Link) -> bool:
    """Every device of MTU 68 and more has its IPv4 side (inetdev_init), addresses or not."""
    return dev.mtu >= 68


def _answers(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, arp: Arp) -> bool:
    """Whether the request is settled: it asked for an address of ours, or for one we stand in for."""
    asked = Packet(src=arp.sender, dst=arp.target, proto=0, tos=0)
    decision = route.input_(walk, ns, dev, asked, 0)
    if decision.kind == "local":
        ignored = _ignores(ns, dev, arp) or (addr.conf_or(ns, dev.name, "arp_filter") and _filtered(walk, ns, dev, arp))
        if not ignored:
            neighbour.learn(walk, ns, dev, arp.sender, arp.sender_mac)
            _reply(walk, ns, dev, arp)
        else:
            level = addr.conf_max(ns, dev.name, "arp_ignore")
            neighbour.note(walk, ns, dev, f"{format_address(arp.target)} is there, but {dev.name} does not answer for it "
                           f"({f'arp_ignore={level}' if level else 'arp_filter=1'}).", "arp-ignore")
        return True
    if decision.kind == "error" and (decision.match is None or decision.error == "EXDEV"):
        neighbour.note(walk, ns, dev, f"{dev.name} ignores the request: {decision.text}.",
                       "rp-filter" if decision.error == "EXDEV" else "martian")
    if decision.kind != "unicast" or not addr.conf(ns, AF_INET, dev.name, "forwarding"):
        return False
    if not _proxies(ns, dev, decision.oif, arp):
        return False
    neighbour.learn(walk, ns, dev, arp.sender, arp.sender_mac)
    if skb.pkt_type == PACKET_HOST or neighbour.proxy_in_time(walk, ns, dev, "ipv4", arp.target):
        _reply(walk, ns, dev, arp)
    return True


def _proxies(ns: NamespaceView, dev: Link, oif: int, arp: Arp) -> bool:
    """arp_fwd_proxy(), arp_fwd_pvlan(), pneigh_lookup()"""
    if oif == dev.ifindex:
        return arp.sender != arp.target and addr.conf_or(ns, dev.name, "proxy_arp_pvlan")
    if addr.conf_or(ns, dev.name, "proxy_arp"):
        medium = addr.conf(ns, AF_INET, dev.name, "medium_id")
        if medium == 0:
            return True
        out = ns.link(oif)
        other = addr.conf(ns, AF_INET, out.name, "medium_id") if out is not None else -1
        if medium != -1 and other not in (medium, -1):
            return True
    return ns.neighbour(AF_INET, dev.ifindex, arp.target, True) is not None


def _ignores(ns: NamespaceView, dev: Link, arp: Arp) -> bool:
    """arp_ignore()"""
    level = addr.conf_max(ns, dev.name, "arp_ignore")
    if level == 1:
        return not _confirmed(ns, dev, None, arp.target, RT_SCOPE_HOST)
    if level == 2:
        return not _confirmed(ns, dev, arp.sender, arp.target, RT_SCOPE_HOST)
    if level == 3:
        return not any(_confirmed(ns, link, None, arp.target, RT_SCOPE_LINK) for link in ns.links().values())
    return level == 8


def _confirmed(ns: NamespaceView, dev: Link, remote: bytes | None, local: bytes, scope: int) -> bool:
    """confirm_addr_indev() for a given local address: the device has it within the scope, and one of its subnets holds it
    (and the remote, where one is asked for)."""
    limit = RT_SCOPE_LINK if addr.conf_or(ns, dev.name, "route_localnet") else RT_SCOPE_HOST
    own = [item for item in ns.addresses(AF_INET) if item.ifindex == dev.ifindex]
    if not any(item.local == local and min(item.scope, limit) <= scope for item in own):
        return False
    return any(in_prefix(local, item.peer or item.local, item.prefixlen)
               and (remote is None or addr.is_any(remote) or in_prefix(remote, item.peer or item.local, item.prefixlen)) for item in own)


def _filtered(walk: Walk, ns: NamespaceView, dev: Link, arp: Arp) -> bool:
    """arp_filter(): answer only where the way back to the asker uses this device."""
    decision = route.output(walk, ns, Packet(src=arp.target, dst=arp.sender, proto=0))
    return decision.kind == "error" or decision.oif != dev.ifindex


def _reply(walk: Walk, ns: NamespaceView, dev: Link, arp: Arp) -> None:
    send(walk, ns, dev, frame(ARPOP_REPLY, dev.mac, arp.target, arp.sender_mac, arp.sender, arp.sender_mac))


def _update(walk: Walk, ns: NamespaceView, dev: Link, arp: Arp) -> None:
    """An entry we have, or are waiting for, takes the news; arp_accept makes new ones of unasked-for announcements."""
    waiting = ("resolving", ns.id, dev.ifindex, arp.sender) in walk.memory
    first = (ns.id, dev.ifindex, arp.sender) not in walk.learned_neighbours
    if waiting and not first:
        return  # of several answers in a row the first one counts (locktime)
    exists = waiting or neighbour.entry(ns, dev, arp.sender) is not None
    accepts = addr.conf_max(ns, dev.name, "arp_accept") and (arp.sender == arp.target or arp.op == ARPOP_REPLY)
    if exists or accepts:
        neighbour.learn(walk, ns, dev, arp.sender, arp.sender_mac)


def answer_from_outside(walk: Walk, ns: NamespaceView, dev: Link, request: Skb, station: bytes) -> None:
    """A station beyond ``dev`` answers the request that left there."""
    inner = request.extra.get("vxlan")
    if isinstance(inner, vxlan.Payload):
        answer_from_outside(walk, inner.ns, inner.dev, inner.frame, station)
        return
    arp = request.arp
    if isinstance(arp, Arp):
        reply = frame(ARPOP_REPLY, station, arp.target, arp.sender_mac, arp.sender, arp.sender_mac)
        reply.pkt_type = PACKET_HOST
        walk.enqueue(lambda: device.receive(walk, ns, dev, reply), ns, dev, reply)
