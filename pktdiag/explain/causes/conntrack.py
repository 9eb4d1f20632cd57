"""Connection tracking itself is the cause: its table is full, or it remembers something that is no longer true."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place


def table_full(case: Case) -> Finding:
    """nf_conntrack: table full, dropping packet."""
    count = case.ns.conntrack_count()
    fill = f"{count[0]} of {count[1]} entries" if count else "full"
    larger = 2 * count[1] if count else 262144
    return Finding(f"The connection tracking table of {place(case)} is full ({fill}): new connections are dropped, old ones live.",
                   (f"Drop and early_drop grow: {inside(case, 'cat /proc/net/stat/nf_conntrack')}",
                    f"The kernel's log says \"nf_conntrack: table full, dropping packet\": {inside(case, 'dmesg')}"),
                   (Proposal("Raise the limit (and nf_conntrack_buckets), shorten the timeouts, or keep bulk traffic untracked",
                             (f"sysctl -w net.netfilter.nf_conntrack_max={larger}",), ()),))
