"""What each transport protocol's tracker says of a packet of a connection.

Sources: net/netfilter/nf_conntrack_core.c (nf_conntrack_handle_packet), nf_conntrack_proto_{udp,icmp,icmpv6,gre,sctp,dccp,
generic}.c.
"""

from __future__ import annotations

from pktdiag.conntrack import tcp
from pktdiag.conntrack.tuples import has_ports
from pktdiag.model.kernel import (
    IPPROTO_DCCP,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDPLITE,
    NF_INET_PRE_ROUTING,
)
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import Conn, HookContext

ICMP_VALID_NEW = frozenset((8, 13, 15, 17))
ICMPV6_VALID_NEW = frozenset((128, 139))

ICMP_ERRORS = frozenset((3, 4, 5, 11, 12))
"""icmp_is_err(), include/linux/icmp.h: unreachable, source quench, redirect, time exceeded, parameter problem."""
NR_ICMP_TYPES = 18

ICMPV6_UNTRACKED = frozenset((130, 131, 132, 133, 134, 135, 136, 143))
"""noct_valid_new: MLD and neighbour discovery are never tracked."""


def handle(ctx: HookContext, conn: Conn, reply: bool, packet: Packet) -> str:
    """nf_conntrack_handle_packet(): "accept", "ignored", "invalid" or "repeat"."""
    ns = ctx.ns
    if conn.orig.proto == IPPROTO_TCP:
        return tcp.packet(ctx, conn, reply, packet.tcp_flags)
    if conn.orig.proto == IPPROTO_ICMP:
        if len(packet.dst) != 4 or conn.orig.dport >> 8 not in ICMP_VALID_NEW:
            return "invalid"
    elif conn.orig.proto == IPPROTO_ICMPV6 and (
            len(packet.dst) != 16 or (not conn.confirmed and conn.orig.dport >> 8 not in ICMPV6_VALID_NEW)):
        return "invalid"
    elif conn.orig.proto == IPPROTO_UDPLITE:
        # udplite_error() sums the pseudo header up as if the protocol were UDP, so that no right checksum is right in PRE_ROUTING.
        from pktdiag.netfilter.checksum import conntrack_looks

        if ctx.hook == NF_INET_PRE_ROUTING and conntrack_looks(ns):
            return "invalid"
    elif conn.orig.proto == IPPROTO_SCTP and has_ports(ns, IPPROTO_SCTP):
        from pktdiag.conntrack import sctp

        return sctp.packet(conn, reply, packet)
    elif conn.orig.proto == IPPROTO_DCCP and has_ports(ns, IPPROTO_DCCP):
        from pktdiag.conntrack import dccp

        return dccp.packet(conn, reply, packet)
    return "accept"
