"""A bridge's forwarding database: what the kernel has learned, and what this walk's own frames teach it.

Source: net/bridge/br_fdb.c (br_fdb_find_rcu, br_fdb_update, fdb_to_nud).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import NTF_STICKY, NUD_PERMANENT
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.walk.state import Walk


class Station(NamedTuple):
    """Where an address lives."""

    port: int | None
    """ifindex of the port; None: the bridge itself."""
    local: bool
    """BR_FDB_LOCAL: the host's own address, delivered up instead of forwarded."""
    sticky: bool = False


def find(walk: Walk, ns: NamespaceView, br: Link, mac: bytes, vid: int) -> Station | None:
    """br_fdb_find_rcu(). Entries past their age count until they are collected, as in the kernel."""
    entry = ns.fdb_entry(br.ifindex, mac, vid)
    if entry is not None and entry.state & NUD_PERMANENT:
        return Station(None if entry.ifindex == br.ifindex else entry.ifindex, True)
    learned = walk.learned_fdb.get((ns.id, br.ifindex, mac, vid))
    if learned is not None:
        return Station(learned, False)
    if entry is not None:
        return Station(entry.ifindex, False, bool(entry.flags & NTF_STICKY))
    # The bridge answers to its own MAC address even where the dump does not repeat it per VLAN.
    return Station(None, True) if mac == br.mac and vid == 0 else None


def learn(walk: Walk, ns: NamespaceView, br: Link, port: Link, mac: bytes, vid: int) -> None:
    """br_fdb_update(): the sender lives behind this port from now on. Ageing time 0 means never learn."""
    if not br.data.get("ageing_time", 30000):
        return
    known = find(walk, ns, br, mac, vid)
    if known is not None and (known.local or known.sticky):
        return
    walk.learned_fdb[(ns.id, br.ifindex, mac, vid)] = port.ifindex
