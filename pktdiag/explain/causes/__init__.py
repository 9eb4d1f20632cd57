"""One mechanism per file: what the loss means in plain words, where the evidence is, what would change it.

``find`` picks the file by the drop's ``cause`` code. Mechanisms are modelled, not scenarios: a file looks at the walk's drop
and at the host, never at who the user is.
"""

from __future__ import annotations

from pktdiag.explain.causes import bridge, conntrack, forwarding, ipsec, listener, neighbours, routing, rules, sizes, tproxy
from pktdiag.explain.causes.case import Case, Finding
from pktdiag.explain.causes.words import at, capital, rejected, sentence

_BY_CAUSE = {
    "no-listener": listener.no_listener,
    "listen-overflow": listener.overflow,
    "tcp-no-connection": listener.no_connection,
    "not-forwarding": forwarding.not_forwarding,
    "tproxy-forwarded": tproxy.sent_on,
    "rp-filter": routing.rp_filter,
    "martian": routing.martian,
    "no-route": routing.no_route,
    "reject-route": routing.refusing_route,
    "blackhole-route": routing.refusing_route,
    "neighbour-failed": neighbours.failed,
    "mtu-exceeded": sizes.mtu_exceeded,
    "rule-drop": rules.dropped,
    "policy-drop": rules.dropped,
    "conntrack-table-full": conntrack.table_full,
    "conntrack-clash": conntrack.clash,
    "summed-before": conntrack.summed_before,
    "hairpin": bridge.hairpin,
    "ipsec-policy": ipsec.blocked,
    "bridge-mtu": sizes.does_not_fit,
    "peer-mtu": sizes.does_not_fit,
}


def find(case: Case) -> Finding:
    """Why this packet was lost. The walk's own words where no file knows more."""
    handler = _BY_CAUSE.get(case.drop.cause)
    if handler is None and case.drop.rule is not None:
        handler = rules.dropped
    if handler is None:
        what = "the answer is " + rejected(case) if case.is_reply else rejected(case)
        return Finding(sentence(f"{capital(what)} {at(case)}: {case.drop.text}"), (), ())
    return handler(case)
