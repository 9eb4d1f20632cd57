"""The connection table: what this walk made or changed, and behind it the kernel's.

A walk's own connections live in ``services.conns`` under ``("conn", namespace id, zone, tuple)``, so that the reply leg
and every namespace on the way find them. Connections read from the kernel are put there too once met, since the walk
moves their state on.
"""

from __future__ import annotations

from pktdiag.conntrack.status import IPS_CONFIRMED, IPS_DYING
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Conn, CtTemplate

_NOT_THERE = "not there"


def find(conns: dict[object, object], ns: NamespaceView, zone: int, tuple_: ConntrackTuple) -> tuple[Conn, bool] | None:
    """nf_conntrack_find_get() (net/netfilter/nf_conntrack_core.c): the connection one of whose directions is ``tuple_``
    and whether that is its reply direction; of one that is its own mirror image (a packet to itself) that is the first one found,
    since it was put into the table last. Raises Unreadable when the kernel's table could not be asked."""
    key = ("conn", ns.id, zone, tuple_)
    known = conns.get(key)
    if known is None:
        known = _ask(conns, ns, zone, tuple_) or _NOT_THERE
        conns[key] = known
    if not isinstance(known, Conn) or known.status & IPS_DYING:
        return None
    return known, known.reply == tuple_


def _ask(conns: dict[object, object], ns: NamespaceView, zone: int, tuple_: ConntrackTuple) -> Conn | None:
    entry = ns.conntrack_get(tuple_, False, zone) or ns.conntrack_get(tuple_, True, zone)
    if entry is None:
        return None
    conn = Conn(entry.orig, entry.reply, ns.id, entry)
    if entry.zone_direction != 3:
        conn.extra["zone"] = CtTemplate(entry.zone, entry.zone_direction)
    met = conns.get(("conn", ns.id, zone_of(conn, False), entry.orig))
    if isinstance(met, Conn):
        # The walk met it before in its other direction, or killed it: its memory is newer than the kernel's.
        return met
    for reply, direction in ((False, entry.orig), (True, entry.reply)):
        conns.setdefault(("conn", ns.id, zone_of(conn, reply), direction), conn)
    return conn


def put_in_zone(conn: Conn, template: CtTemplate) -> None:
    conn.zone = template.zone
    if template.direction != 3:
        conn.extra["zone"] = template


def zone_of(conn: Conn, reply: bool) -> int:
    """nf_ct_zone_id(): the zone of one direction of the connection."""
    template = conn.extra.get("zone")
    return template.zone_of(reply) if isinstance(template, CtTemplate) else conn.zone


def insert(conns: dict[object, object], conn: Conn) -> None:
    """__nf_conntrack_hash_insert(): from now on found in both directions."""
    conn.confirmed = True
    conn.status |= IPS_CONFIRMED
    for reply, direction in ((False, conn.orig), (True, conn.reply)):
        conns[("conn", conn.netns, zone_of(conn, reply), direction)] = conn


def kill(conn: Conn) -> None:
    """nf_ct_kill(): later lookups do not find it any more."""
    conn.status |= IPS_DYING


def taken(conns: dict[object, object], ns: NamespaceView, tuple_: ConntrackTuple, ignored: Conn) -> bool:
    """nf_conntrack_tuple_taken(): another connection answers to ``tuple_``; the same flow seen twice does not count."""
    found = find(conns, ns, zone_of(ignored, True), tuple_)
    return found is not None and found[0] is not ignored and found[0].orig != ignored.orig
