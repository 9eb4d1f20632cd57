"""What conntrack calls the same connection: a packet's tuple, and the tuple of its answer.

Sources: net/netfilter/nf_conntrack_core.c (nf_ct_get_tuple, nf_ct_invert_tuple), nf_conntrack_proto_icmp.c and
nf_conntrack_proto_icmpv6.c (invmap).
"""

from __future__ import annotations

from pktdiag.model.host import ConntrackTuple
from pktdiag.model.kernel import (
    IPPROTO_DCCP,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_NONE,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
)
from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView

_ALWAYS_PORTS = frozenset((IPPROTO_TCP, IPPROTO_UDP))
_FEATURE_SYSCTL = {
    IPPROTO_SCTP: "net/netfilter/nf_conntrack_sctp_timeout_closed",
    IPPROTO_DCCP: "net/netfilter/nf_conntrack_dccp_timeout_request",
}
"""Trackers that a kernel may lack (DCCP's went away in v6.16): without one the protocol is "generic", without ports."""

ICMP_INVERSE = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
ICMPV6_INVERSE = {128: 129, 129: 128, 139: 140, 140: 139}


def has_ports(ns: NamespaceView, proto: int) -> bool:
    """Whether this kernel's conntrack tells connections of the protocol apart by ports."""
    if proto in _ALWAYS_PORTS or proto == IPPROTO_UDPLITE:
        return True
    feature = _FEATURE_SYSCTL.get(proto)
    return feature is not None and ns.sysctl(feature) is not None


def tuple_of(ns: NamespaceView, packet: Packet) -> ConntrackTuple | None:
    """nf_ct_get_tuple(): None for a later fragment, which carries no transport header, and for IPv6 with no next header (get_l4proto,
    ipv6_skip_exthdr: it walks through all extension headers, the authentication header too)."""
    proto = packet.proto
    if packet.fragment_offset or (proto == IPPROTO_NONE and len(packet.dst) == 16):
        return None
    if proto in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        return ConntrackTuple(packet.src, packet.dst, proto, packet.icmp_id, packet.icmp_type << 8 | packet.icmp_code)
    if has_ports(ns, proto):
        return ConntrackTuple(packet.src, packet.dst, proto, packet.sport, packet.dport)
    return ConntrackTuple(packet.src, packet.dst, proto, 0, 0)


def invert(tuple_: ConntrackTuple) -> ConntrackTuple | None:
    """nf_ct_invert_tuple(): None for an ICMP message that has no answer."""
    if tuple_.proto == IPPROTO_ICMP or tuple_.proto == IPPROTO_ICMPV6:
        inverse = (ICMP_INVERSE if tuple_.proto == IPPROTO_ICMP else ICMPV6_INVERSE).get(tuple_.dport >> 8)
        if inverse is None:
            return None
        return ConntrackTuple(tuple_.dst, tuple_.src, tuple_.proto, tuple_.sport, inverse << 8 | tuple_.dport & 0xFF)
    return ConntrackTuple(tuple_.dst, tuple_.src, tuple_.proto, tuple_.dport, tuple_.sport)
