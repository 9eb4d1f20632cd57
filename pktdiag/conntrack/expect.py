"""Connections that are expected: announced by one connection, RELATED to it when they come.

Source: net/netfilter/nf_conntrack_expect.c (nf_ct_find_expectation, __nf_ct_expect_check, expect_clash, nf_ct_expect_init),
net/netfilter/nft_ct.c (nft_ct_expect_obj_eval).
"""

from __future__ import annotations

from pktdiag.model.host import ConntrackTuple, Expectation
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Conn

_MADE = "expected by this walk"


def known(conns: dict[object, object], ns: NamespaceView) -> list[Expectation]:
    """The kernel's, and those this walk made. Raises Unreadable."""
    made = conns.get((_MADE, ns.id), ())
    return [*ns.expectations(), *(made if isinstance(made, tuple) else ())]


def find(conns: dict[object, object], ns: NamespaceView, zone: int, tuple_: ConntrackTuple) -> Expectation | None:
    """nf_ct_find_expectation(): the one a new connection fulfils, and uses up. Raises Unreadable."""
    for each in known(conns, ns):
        if not each.inactive and _fits(each, tuple_) and _in_zone(ns, each, zone) and not conns.get(("fulfilled", ns.id, each)):
            conns[("fulfilled", ns.id, each)] = True
            return each
    return None


def _in_zone(ns: NamespaceView, each: Expectation, zone: int) -> bool:
    """An expectation is in the zone of the connection that announced it, which can be looked for there."""
    return each.zone == zone if each.zone is not None else ns.conntrack_get(each.master, False, zone) is not None


def _fits(each: Expectation, tuple_: ConntrackTuple) -> bool:
    """nf_ct_tuple_mask_cmp()"""
    return (tuple_.dst, tuple_.dport, tuple_.proto) == (each.tuple.dst, each.tuple.dport, each.tuple.proto) \
        and _masked(tuple_.src, each.mask.src) == _masked(each.tuple.src, each.mask.src) \
        and tuple_.sport & each.mask.sport == each.tuple.sport & each.mask.sport


def _masked(address: bytes, mask: bytes) -> bytes:
    return bytes(a & m for a, m in zip(address, mask))


def announce(conns: dict[object, object], ns: NamespaceView, conn: Conn, inet: bool, proto: int, port: int) -> bool:
    """nft's ``ct expectation``: whoever is asked will come back from any port to one port of the asker. False: another connection
    expects the same (expect_clash, in __nf_ct_expect_check), which drops the packet. ``inet``: addresses count as IPv4 ones, by their
    first four bytes."""
    size = 4 if inet else 16
    tuple_ = ConntrackTuple(conn.reply.src[:size], conn.reply.dst[:size], proto, 0, port)
    for each in known(conns, ns):
        other = each.tuple
        if (other.dst, other.dport, other.proto) == (tuple_.dst, port, proto) \
                and _masked(other.src, each.mask.src) == _masked(tuple_.src, each.mask.src) and _in_zone(ns, each, conn.zone):
            return each.master == conn.orig and other.src == tuple_.src  # its own is made anew
    made = conns.get((_MADE, ns.id), ())
    new = Expectation(tuple_, ConntrackTuple(b"\xff" * size, b"\xff" * size, proto, 0, 0xFFFF), conn.orig, conn.zone)
    conns[(_MADE, ns.id)] = (*(made if isinstance(made, tuple) else ()), new)
    return True
