"""The IPv6 routing header at one of its stations: net/ipv6/exthdrs.c (ipv6_rthdr_rcv, ipv6_srh_rcv, ipv6_rpl_srh_rcv).

Type 0 died with RFC 5095; with no segment left any header but type 2 is passed over. Type 4 (segment routing) is followed where
the host takes part in it (seg6_enabled).
"""

from __future__ import annotations

from pktdiag.model.exthdr import Header
from pktdiag.model.host import Link
from pktdiag.model.kernel import PACKET_HOST
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk import addresses as addr
from pktdiag.walk import icmp
from pktdiag.walk.state import Walk

MOBILITY, RPL, SEGMENTS = 2, 3, 4
_HMAC = 0x08
IN_IPV4, IN_IPV6 = 4, 41


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, header: Header, index: int) -> bool:
    """True: go on behind it. ``index``: its place among the packet's extension headers."""
    kind, left = header.data[2], header.data[3]
    if addr.is_multicast(skb.packet.dst) or skb.pkt_type != PACKET_HOST:
        _drop(walk, ns, dev, skb, "A routing header in a packet to many.", ("Ip6InAddrErrors",))
        return False
    if kind == SEGMENTS:
        return _segments(walk, ns, dev, skb, header, index)
    if kind == RPL:
        if _least(ns, dev, "rpl_seg_enabled"):
            walk.unsure(ns, "socket", dev, skb, "how its RPL source route goes on, which is not modelled")
        else:
            _drop(walk, ns, dev, skb, f"RPL source routes are not taken here (rpl_seg_enabled=0 on {dev.name} or for all).", ())
        return False
    mobile = kind == MOBILITY and _mobile(walk)
    if left == 0:
        if mobile:
            _drop(walk, ns, dev, skb, "A routing header of type 2 that this host's own mobility did not work on.", ("Ip6InAddrErrors",))
        return not mobile
    if mobile and _least(ns, dev, "accept_source_route") >= 0:
        walk.unsure(ns, "socket", dev, skb, "the state of mobile IPv6, which is not modelled")
        return False
    sent = icmp.error(walk, ns, skb, 4, 0, dev=dev, info=header.offset + 2)
    walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", f"A routing header of type {kind} with segments left is not followed.",
              counters=("Ip6InHdrErrors",), cause="routing-header", answer="icmpv6 parameter-problem" if sent else None)
    return False


def _drop(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, text: str, counters: tuple[str, ...]) -> None:
    walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", text, counters=counters, cause="routing-header")


def _least(ns: NamespaceView, dev: Link, name: str) -> int:
    values = [ns.sysctl(f"net/ipv6/conf/{each}/{name}") for each in ("all", dev.name)]
    return min(int(value or 0) for value in values)


def _mobile(walk: Walk) -> bool:
    """CONFIG_IPV6_MIP6, with which the kernel has ipv6_chk_home_addr() (net/ipv6/addrconf.c)."""
    found = walk.host.kernel_function("ipv6", "ipv6_chk_home_addr")
    if found is None:
        return walk.decide(Unknown("this kernel has mobile IPv6 (CONFIG_IPV6_MIP6)"), ("mip6",))
    return found


def _segments(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, header: Header, index: int) -> bool:
    """ipv6_srh_rcv()"""
    data, left = header.data, header.data[3]
    if not _least(ns, dev, "seg6_enabled"):
        _drop(walk, ns, dev, skb, f"This host takes no part in segment routing (seg6_enabled=0 on {dev.name} or for all).", ())
        return False
    if data[5] & _HMAC or (ns.sysctl(f"net/ipv6/conf/{dev.name}/seg6_require_hmac") or "0") == "1":
        walk.unsure(ns, "socket", dev, skb, "whether the authentication (HMAC) of its segment routing header holds")
        return False
    if left == 0:
        if data[0] in (IN_IPV4, IN_IPV6):
            walk.unsure(ns, "socket", dev, skb, "what the packet inside of its segment routing header does; it is taken out here")
            return False
        return True
    if left >= data[1] >> 1:
        sent = icmp.error(walk, ns, skb, 4, 0, dev=dev, info=header.offset + 3)
        walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", "Its segment routing header has more segments left than segments.",
                  counters=("Ip6InHdrErrors",), cause="routing-header", answer="icmpv6 parameter-problem" if sent else None)
        return False
    return _next_segment(walk, ns, dev, skb, header, index)


def _next_segment(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, header: Header, index: int) -> bool:
    """The next segment becomes the destination, and the packet is routed there from here: past PRE_ROUTING and INPUT."""
    from pktdiag.walk import ip_forward, ip_input, route

    left = header.data[3] - 1
    skb.packet = _advanced(skb.packet, header, index, left)
    walk.step(ns, "routing", dev, f"Segment routing: the next destination is {format_address(skb.packet.dst)}, {left} left behind it.",
              packet=skb.packet)
    decision = skb.route = route.input_(walk, ns, dev, skb.packet, skb.mark)
    if decision.kind == "error":
        ip_input.refused(walk, ns, dev, skb, decision)
        return False
    if decision.kind != "local":
        ip_forward.forward(walk, ns, dev, skb, decision)
        return False
    if skb.packet.ttl <= 1:
        sent = icmp.error(walk, ns, skb, 3, 0, dev=dev)
        walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", f"Hop limit {skb.packet.ttl} is used up between two segments of this host.",
                  counters=("Ip6InHdrErrors",), cause="ttl-exceeded", answer="icmpv6 time-exceeded" if sent else None)
        return False
    skb.packet = skb.packet._replace(ttl=skb.packet.ttl - 1)
    return _segments(walk, ns, dev, skb, header._replace(data=header.data[:3] + bytes((left,)) + header.data[4:]), index)


def _advanced(packet: Packet, header: Header, index: int, left: int) -> Packet:
    links = list(packet.ext_headers)
    number, data = links[index]
    links[index] = number, data[:3] + bytes((left,)) + data[4:]
    return packet._replace(dst=header.data[8 + 16 * left:24 + 16 * left], ext_headers=tuple(links))
