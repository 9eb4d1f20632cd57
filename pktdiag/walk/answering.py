"""From which of its addresses a host answers what was sent to many."""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE
from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView
from pktdiag.walk import addresses as addr
from pktdiag.walk import route
from pktdiag.walk.fib import LOOPBACK_IFINDEX, Flow, lookup
from pktdiag.walk.state import Walk


def address(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int) -> bytes:
    """fib_compute_spec_dst(): from which of its addresses a host answers what came to a broadcast or multicast one (IPv4)."""
    scope = RT_SCOPE_UNIVERSE
    if addr.is_zeronet(packet.src):
        scope = RT_SCOPE_LINK
    else:
        marked = mark if addr.conf_or(ns, dev.name, "src_valid_mark") else 0
        match = lookup(walk, ns, Flow(AF_INET, packet.src, None, LOOPBACK_IFINDEX, 0, marked, packet.tos, 0, 0, 0, 0))
        hop = match.nexthop
        out = ns.link(hop.ifindex) if match.ok and hop and hop.ifindex else None
        if out is not None:
            return route.preferred_source(ns, match, out)
    return addr.select_address(ns, dev, packet.src, scope)
