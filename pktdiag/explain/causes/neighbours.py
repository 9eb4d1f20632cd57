"""The next hop does not answer."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.model.kernel import AF_INET


def failed(case: Case) -> Finding:
    """Nobody answers ARP or neighbour solicitation for the next hop."""
    protocol = "ARP" if case.packet.family == AF_INET else "neighbour discovery"
    thresholds = [case.ns.sysctl(f"net/ipv4/neigh/default/gc_thresh{number}") for number in (1, 2, 3)]
    evidence = (case.drop.text, f"Entries FAILED or INCOMPLETE: {inside(case, f'ip neigh show dev {case.drop.device}')}",
                f"Room in the neighbour table: gc_thresh3={thresholds[2]} (host-wide)")
    return Finding(f"{place(case)} cannot reach the next hop on {case.drop.device}: nobody answers {protocol} for it.", evidence,
                   (Proposal("see that the machine or container with that address runs, is attached to the same link, and is up",
                             (inside(case, f"ip neigh show dev {case.drop.device}"),), ()),))
