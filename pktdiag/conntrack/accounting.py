"""A connection's own counters: struct nf_conn_acct (net/netfilter/nf_conntrack_acct.c)."""

from __future__ import annotations

from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Conn

Counts = tuple[int, ...]
"""Packets and bytes of the original direction, then of the reply."""


def account(conn: Conn, reply: bool, packet: Packet, counted: bool) -> None:
    """nf_ct_acct_add(): what this walk adds to a connection's counters; not ``counted``: let through without. An ICMP error about
    a connection is none of its packets (nf_conntrack_in() leaves early)."""
    walked = conn.extra.setdefault("walked", [0, 0, 0, 0])
    if not isinstance(walked, list) or not counted:
        return
    if "length" in packet.unknown:
        conn.extra["walked"] = None
        return
    walked[2 * reply] += 1
    walked[2 * reply + 1] += packet.length


def of_direction(counted: Counts, direction: int) -> tuple[int, int]:
    """Packets and bytes of the original direction (0), of the reply (1), or (2) of both."""
    sides = (0, 1) if direction == 2 else (direction,)
    return sum(counted[2 * side] for side in sides), sum(counted[2 * side + 1] for side in sides)


def counts(ns: NamespaceView, conn: Conn) -> Counts | None:
    """What it has carried so far, the packet at hand included. Empty: it has no counters, being made while accounting was off
    (nf_conntrack_acct); rules that ask for them switch it on. None: unknown."""
    entry, walked = conn.entry, conn.extra.get("walked", [])
    if entry is not None and entry.packets_orig is None:
        return ()
    if not isinstance(walked, list):
        return None
    if entry is not None:
        held = (entry.packets_orig or 0, entry.bytes_orig or 0, entry.packets_reply or 0, entry.bytes_reply or 0)
        return tuple(count + more for count, more in zip(held, walked)) if walked else held
    switched = ns.sysctl("net/netfilter/nf_conntrack_acct")
    if switched == "0":
        return ()
    return tuple(walked) if walked and switched is not None else None
