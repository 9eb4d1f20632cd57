"""Rewriting a packet as its connection's NAT binding says.

Source: net/netfilter/nf_nat_core.c (nf_nat_packet), net/netfilter/nf_nat_proto.c (nf_nat_manip_pkt, l4proto_manip_pkt,
nf_nat_icmp_reply_translation, nf_nat_icmpv6_reply_translation).
"""

from __future__ import annotations

from pktdiag.conntrack.status import (
    IPS_DST_NAT,
    IPS_NAT_DONE_MASK,
    IPS_NAT_MASK,
    IPS_SRC_NAT,
    is_reply,
)
from pktdiag.conntrack.tuples import ICMP_INVERSE, ICMPV6_INVERSE, invert
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.kernel import NF_INET_LOCAL_IN, NF_INET_POST_ROUTING
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import Conn

ICMP_REDIRECT, NDISC_REDIRECT = 5, 137
_DRAWN = frozenset(("sport", "dport", "icmp_id"))


def changes_source(hook: int) -> bool:
    """HOOK2MANIP(): POST_ROUTING and LOCAL_IN change the source, the others the destination."""
    return hook in (NF_INET_POST_ROUTING, NF_INET_LOCAL_IN)


def translated(conn: Conn, state: int | None, hook: int) -> bool:
    """Whether nf_nat_packet() rewrites a packet of this connection at this hook."""
    bit = IPS_SRC_NAT if changes_source(hook) else IPS_DST_NAT
    if is_reply(state):
        bit ^= IPS_NAT_MASK
    return bool(conn.status & bit)


def apply(packet: Packet, conn: Conn, state: int | None, hook: int) -> Packet:
    """nf_nat_packet(): the packet after this hook's translation; the same object when there is none."""
    if not translated(conn, state, hook):
        return packet
    target = invert(conn.orig if is_reply(state) else conn.reply)
    if target is None:
        return packet
    source = changes_source(hook)
    return _rewrite(packet, target, source, _drawn(conn, state, source))


def remember_drawn(conn: Conn, packet: Packet) -> None:
    """The ports and ids of a new connection that another namespace's NAT has drawn at random: as unknown when its answers are
    turned back."""
    drawn = packet.unknown & _DRAWN
    if drawn:
        conn.extra["drawn"] = drawn


def _drawn(conn: Conn, state: int | None, source: bool) -> bool:
    """Whether the port that this translation writes was drawn at random: here, or, of an answer turned back, before it came here."""
    if not is_reply(state):
        return "random-port" in conn.extra
    drawn = conn.extra.get("drawn")
    return isinstance(drawn, frozenset) and bool(drawn & {"dport" if source else "sport", "icmp_id"})


def apply_error(packet: Packet, conn: Conn, state: int | None, hook: int) -> Packet | None:
    """nf_nat_icmp_reply_translation(): an ICMP error about the connection, with the packet it quotes. None: dropped
    (a redirect, whose target would be wrong after translation)."""
    redirect = ICMP_REDIRECT if len(packet.dst) == 4 else NDISC_REDIRECT
    if packet.icmp_type == redirect and (
            conn.status & IPS_NAT_DONE_MASK != IPS_NAT_DONE_MASK or conn.status & IPS_NAT_MASK):
        return None
    if not translated(conn, state, hook):
        return packet
    other = conn.orig if is_reply(state) else conn.reply
    target = invert(other)
    source = changes_source(hook)
    if packet.inner is not None:
        packet = packet._replace(inner=_rewrite(packet.inner, other, not source, _drawn(conn, state, source)))
    if target is None:
        return packet
    return packet._replace(src=target.src) if source else packet._replace(dst=target.dst)


def _rewrite(packet: Packet, target: ConntrackTuple, source: bool, drawn: bool) -> Packet:
    """nf_nat_ipv4_manip_pkt() / nf_nat_ipv6_manip_pkt()"""
    packet = packet._replace(src=target.src) if source else packet._replace(dst=target.dst)
    if packet.fragment_offset:
        return packet
    if packet.is_icmp:
        queries = ICMP_INVERSE if len(packet.dst) == 4 else ICMPV6_INVERSE
        if packet.icmp_type not in queries or packet.icmp_id == target.sport:
            return packet
        unknown = packet.unknown | {"icmp_id"} if drawn else packet.unknown - {"icmp_id"}
        return packet._replace(icmp_id=target.sport, unknown=unknown)
    if not packet.has_ports or target.proto != packet.proto or (not target.sport and not target.dport):
        return packet
    field = "sport" if source else "dport"
    port = target.sport if source else target.dport
    unknown = packet.unknown
    if drawn:
        unknown |= {field}
    elif port != (packet.sport if source else packet.dport):  # what was drawn elsewhere and is kept here stays unknown
        unknown -= {field}
    return packet._replace(sport=port, unknown=unknown) if source else packet._replace(dport=port, unknown=unknown)
