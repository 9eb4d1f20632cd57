"""IPsec policies on a packet's way. What a policy lets by goes on, what it blocks ends; what it wants transformed is not followed.

Only namespaces that have policies come here (``collect`` asks for them once). Sources: net/xfrm/xfrm_policy.c (__xfrm_policy_check,
xfrm_lookup_with_ifid), net/ipv4/ip_forward.c, net/ipv6/ip6_output.c (ip6_forward), net/ipv4/route.c (ip_route_output_flow),
net/ipv4/{udp,tcp_ipv4,icmp,ip_input}.c and their IPv6 twins, net/ipv6/route.c (icmp6_dst_alloc).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses as addr
from pktdiag.walk.ipsec_policies import ALLOW, BLOCK, FORWARD, IN, NAMES, OUT, Policy, of_direction
from pktdiag.walk.state import Walk

_DEFAULT_BLOCK = 1


def _found(walk: Walk, ns: NamespaceView, packet: Packet, mark: int, direction: int) -> Policy | str | None:
    """The policy the packet is under; words where that is not known; None: none at all."""
    policies, defaults = ns.xfrm_policies()
    key = ("ipsec", ns.id, direction, packet.family)
    known = walk.memory.get(key)
    if known is None:
        known = walk.memory[key] = of_direction(policies, direction, packet.family)
    for policy in known:
        selected = policy.selects(packet, mark)
        if selected is None or (selected and (policy.sub or policy.templates or policy.action not in (ALLOW, BLOCK))):
            return f"what the IPsec policy {policy.text()} does with it, which is not modelled"
        if selected:
            return policy
    if defaults[direction:direction + 1] == bytes((_DEFAULT_BLOCK,)):
        return f"what the default of IPsec policies, {NAMES[direction]} block (ip xfrm policy getdefault), does with it: not modelled"
    return None


def _exempt(ns: NamespaceView, dev: Link, packet: Packet, key: str) -> bool:
    """DST_NOXFRM (disable_xfrm) and IPSKB_NOPOLICY (disable_policy): IPv4's, by device. lo has both."""
    return packet.family == AF_INET and addr.conf_or(ns, dev.name, key)


def sends(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, asked: Packet) -> bool:
    """ip_route_output_flow(), ip6_dst_lookup_flow(): xfrm_lookup_route() once the way is known. False: it ended."""
    skb.extra["under ipsec policies"] = _ends(skb.packet)
    if _exempt(ns, out, asked, "disable_xfrm"):
        return True
    found = _found(walk, ns, asked, skb.mark, OUT)
    if found is None or (isinstance(found, Policy) and found.action == ALLOW):
        return True
    if isinstance(found, str):
        walk.unsure(ns, "routing", out, skb, found)
    elif skb.extra.get("answer_kind") not in (None, "udp-reply"):  # icmp_route_lookup() asks once more, the other way round
        walk.unsure(ns, "routing", out, skb, f"whether the kernel may send its answer under the IPsec policy {found.text()}")
    else:
        walk.drop(ns, "routing", out, skb, "XFRM_POLICY", f"Blocked by the IPsec policy {found.text()}; the sender gets EPERM.",
                  cause="ipsec-policy")
    return False


def discovers(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, direction: int) -> bool:
    """Neighbour discovery is under policies like any packet: icmp6_dst_alloc() asks xfrm_lookup() for what ndisc_send_skb() sends, and
    icmpv6_rcv() checks what comes in before ndisc_rcv() sees it. What is blocked ends without a word. Solicitations go to a group, so a
    policy for the network's own addresses has only the advertisements."""
    found = _found(walk, ns, skb.packet, 0 if direction == OUT else skb.mark, direction)
    if found is None or (isinstance(found, Policy) and found.action == ALLOW):
        return True
    if isinstance(found, str):
        walk.unsure(ns, "neighbour", dev, skb, found)
    else:
        from pktdiag.walk import neighbour

        way = "sent" if direction == OUT else "heard"
        neighbour.note(walk, ns, dev, f"On {dev.name} it is not {way}: blocked by the IPsec policy {found.text()}.", "ipsec-policy")
    return False


def forwards(walk: Walk, ns: NamespaceView, dev: Link, out: Link, skb: Skb) -> bool:
    """xfrm4_policy_check(FWD), then xfrm4_route_forward(), which asks for the way out as for a packet of one's own."""
    packet = skb.packet
    skb.extra["under ipsec policies"] = _ends(packet)
    for direction, at, key in ((FORWARD, dev, "disable_policy"), (OUT, out, "disable_xfrm")):
        found = None if _exempt(ns, at, packet, key) else _found(walk, ns, packet, skb.mark, direction)
        if isinstance(found, str):
            walk.unsure(ns, "forward", dev, skb, found)
            return False
        if found is not None and found.action == BLOCK:
            named = packet.family == AF_INET or direction == OUT  # ip6_forward() has no name for its own check
            walk.drop(ns, "forward", dev, skb, "XFRM_POLICY" if named else "NOT_SPECIFIED", f"Blocked by the IPsec policy {found.text()}.",
                      counters=() if packet.family == AF_INET else ("Ip6InDiscards",), cause="ipsec-policy")
            return False
    return True


def changed(walk: Walk, ns: NamespaceView, out: Link, skb: Skb) -> bool:
    """nf_xfrm_me_harder(), ip_route_me_harder(): what rules have made another flow is looked up again. True: it ended."""
    if skb.extra.get("under ipsec policies") in (None, _ends(skb.packet)) or _exempt(ns, out, skb.packet, "disable_xfrm"):
        return False
    found = _found(walk, ns, skb.packet, skb.mark, OUT)
    if found is None or (isinstance(found, Policy) and found.action == ALLOW):
        return False
    walk.unsure(ns, "postrouting", out, skb, found if isinstance(found, str) else
                f"what becomes of a packet that NAT has put under the IPsec policy {found.text()}")
    return True


def _ends(packet: Packet) -> tuple[object, ...]:
    return packet.src, packet.dst, packet.sport, packet.dport


def takes(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, socket: bool, handled: bool) -> bool:
    """The check that each protocol makes for itself (no_policy in its struct net_protocol), with the ``socket`` it found or without one,
    or that is made for it. ``handled``: whether there is such a protocol."""
    packet = skb.packet
    found = None if _exempt(ns, dev, packet, "disable_policy") else _found(walk, ns, packet, skb.mark, IN)
    if found is None or (isinstance(found, Policy) and found.action == ALLOW):
        return True
    if isinstance(found, str):
        walk.unsure(ns, "socket", dev, skb, found)
        return False
    reason = "XFRM_POLICY"
    counters: tuple[str, ...] = ()
    if packet.proto in (IPPROTO_UDP, IPPROTO_UDPLITE):
        base = "Udp" if packet.proto == IPPROTO_UDP else "UdpLite"
        counters = (base + ("InErrors" if packet.family == AF_INET else "6InErrors"),)
        reason = reason if socket else "NOT_SPECIFIED" if packet.family == AF_INET else "NO_SOCKET"
    elif packet.proto == IPPROTO_TCP:
        reason = reason if socket else "NO_SOCKET"
    elif not handled and packet.family == AF_INET:
        reason = "IP_NOPROTO"
    walk.drop(ns, "socket", dev, skb, reason, f"Blocked by the IPsec policy {found.text()}.", counters=counters, cause="ipsec-policy")
    return False
