"""A connection that is older than the rules: NAT is decided by a connection's first packet, so an entry made before a DNAT
or masquerade rule keeps its packets from it (net/netfilter/nf_nat_core.c: nf_nat_inet_fn looks at the chains only for a
connection that is not initialized yet).
"""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside
from pktdiag.explain.causes.words import at, capital, rejected
from pktdiag.explain.whatif.changes import ForgetConnection
from pktdiag.explain.whatif.overlay import OverlayHost
from pktdiag.model.host import ConntrackEntry, ConntrackTuple
from pktdiag.model.kernel import PROTO_NAMES
from pktdiag.model.packet import Packet, endpoint, format_address
from pktdiag.model.trace import THROUGH_VERDICTS, Trace
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.walk.api import trace as walk_trace


def find(case: Case) -> Finding | None:
    """None: no entry is on the way, or the packet is lost without it, too."""
    for ns, entry in _entries(case):
        change = ForgetConnection(ns.id, entry.orig)
        try:
            again = walk_trace(OverlayHost(case.host, (change,)), case.question)
        except (Unreadable, KeyError):
            continue
        if _through(again):
            return _finding(case, ns, entry, change)
    return None


def _through(trace: Trace) -> bool:
    return trace.request.verdict in THROUGH_VERDICTS and (trace.reply is None or trace.reply.verdict in THROUGH_VERDICTS)


def _entries(case: Case) -> list[tuple[NamespaceView, ConntrackEntry]]:
    """What the tables on the way already know of the request. Ports and protocol suffice; ICMP has no NAT worth the word."""
    found = []
    for step in case.trace.request.steps:
        packet = step.packet
        if not step.text.startswith("Connection tracking:") or packet is None or not packet.has_ports:
            continue
        ns = case.host.namespace(int(step.netns[5:-1]))
        entry = _ask(ns, packet)
        if entry is not None:
            found.append((ns, entry))
    return found


def _ask(ns: NamespaceView, packet: Packet) -> ConntrackEntry | None:
    wanted = ConntrackTuple(packet.src, packet.dst, packet.proto, packet.sport, packet.dport)
    try:
        return ns.conntrack_get(wanted, False, 0)
    except Unreadable:
        return None


def _finding(case: Case, ns: NamespaceView, entry: ConntrackEntry, change: ForgetConnection) -> Finding:
    orig = entry.orig
    proto = PROTO_NAMES.get(orig.proto, str(orig.proto))
    flow = f"{proto} {endpoint(orig.src, orig.sport)} > {endpoint(orig.dst, orig.dport)}"
    lost = "the answer is " + rejected(case) if case.is_reply else rejected(case)
    summary = (f"{capital(lost)} {at(case)}, because conntrack {at(case, ns)} still holds an entry for {flow} that is older than the NAT "
               "rules: only the first packet of a connection meets them. Without the entry the packet gets through.")
    selector = (f"-p {proto} --orig-src {format_address(orig.src)} --orig-dst {format_address(orig.dst)} --sport {orig.sport} "
                f"--dport {orig.dport}")
    left = f" ({entry.timeout} s left, and every packet renews it)" if entry.timeout is not None else ""
    evidence = (f"The entry{left}: {inside(case, f'conntrack -L {selector}', ns)}",)
    command = inside(case, f"conntrack -D {selector}", ns)
    proposals = (Proposal("Delete the old entry, so that the next packet starts a new connection", (command,), (change,)),
                 Proposal("Send from another source port: that is a new connection", (), ()))
    return Finding(summary, evidence, proposals)
