"""The JSON contract ``pktdiag.trace/1``, made from ``model.trace`` here and nowhere else.

Fields are only ever added. ``netns`` is always ``net:[INODE]``; ``netns_name`` stands beside it where somebody has a
name for it. ``proto`` is the name ("udp"), or the number as text for a protocol without one. Strings are raw.
"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_TCP, PROTO_NAMES
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.question import Question
from pktdiag.model.trace import Drop, Leg, Outcome, Receiver, RuleRef, Sighting, Step, Trace
from pktdiag.render.places import Places
from pktdiag.render.sightings import tcpdump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA = "pktdiag.trace/1"


def document(trace: Trace, question: Question, places: Places) -> dict[str, Any]:
    """The whole answer as JSON-serialisable data."""
    return {
        "schema": SCHEMA, "verdict": trace.verdict, "summary": trace.summary,
        "question": {"netns": question.netns, **_name(places, question.netns), "ingress": question.ingress,
                     "packet": {**packet(question.packet), "mark": question.mark}, "state": question.state, "uid": question.uid,
                     "gid": question.gid},
        "request": leg(trace.request, places),
        "reply": leg(trace.reply, places) if trace.reply is not None else None,
        "fixes": [{"why": fix.why, "commands": list(fix.commands), "verified": fix.verified} for fix in trace.fixes],
        "evidence": list(trace.evidence), "gaps": list(trace.gaps),
    }


def leg(of: Leg, places: Places) -> dict[str, Any]:
    return {
        "verdict": of.verdict, "packet": {**packet(of.packet), "mark": of.mark}, "receiver": _receiver(of.receiver, places),
        "drop": _drop(of.drop, places), "sightings": [_sighting(s, places) for s in of.sightings],
        "steps": [_step(s, places) for s in of.steps], "outcomes": [_outcome(o, places) for o in of.outcomes],
        "rules_hit": [rule(r) for r in of.rules_hit],
        "counters": [{"netns": netns, "name": name} for netns, name in of.counters], "assumptions": list(of.assumptions),
    }


def packet(of: Packet) -> dict[str, Any]:
    """Addresses as text, ports null for protocols without them, bytes as lengths."""
    told: dict[str, Any] = {
        **_flow(of), "ttl": of.ttl, "tos": of.tos, "length": of.length, "df": of.df, "family": 4 if len(of.dst) == 4 else 6,
    }
    if of.proto == IPPROTO_TCP:
        told["tcp_flags"] = of.tcp_flags
    if of.is_icmp:
        told |= {"icmp_type": of.icmp_type, "icmp_code": of.icmp_code, "icmp_id": None if "icmp_id" in of.unknown else of.icmp_id}
    if of.inner is not None:
        told["inner"] = packet(of.inner)
    return told | _fragment(of)


def _fragment(of: Packet) -> dict[str, Any]:
    """Which bytes of its datagram a fragment holds, counted from the first behind the IP header."""
    if not of.is_fragment:
        return {}
    return {"fragment": {"offset": of.fragment_offset, "bytes": of.length - of.header_length, "more": of.more_fragments}}


def _flow(of: Packet) -> dict[str, Any]:
    """Ports are null where there are none, as in later fragments, and where one is drawn at random."""
    ports = of.bears_ports
    sport, dport = (port if ports and name not in of.unknown else None for name, port in (("sport", of.sport), ("dport", of.dport)))
    return {"src": format_address(of.src), "dst": format_address(of.dst), "sport": sport, "dport": dport,
            "proto": PROTO_NAMES.get(of.proto, str(of.proto))}


def rule(of: RuleRef | None) -> dict[str, Any] | None:
    return of._asdict() if of is not None else None


def _name(places: Places, netns: str) -> dict[str, str]:
    found = places.get(netns)
    return {"netns_name": found.label} if found is not None and found.label != netns else {}


def _receiver(of: Receiver | None, places: Places) -> dict[str, Any] | None:
    return {**of._asdict(), **_name(places, of.netns)} if of is not None else None


def _drop(of: Drop | None, places: Places) -> dict[str, Any] | None:
    if of is None:
        return None
    from pktdiag.model.reasons import text_of
    return {**of._asdict(), **_name(places, of.netns), "rule": rule(of.rule), "counters": list(of.counters),
            "reason_text": text_of(of.reason), "because": _drop(of.because, places)}


def _sighting(of: Sighting, places: Places) -> dict[str, Any]:
    return {"netns": of.netns, **_name(places, of.netns), "device": of.device, "direction": of.direction, **_flow(of.packet),
            "ttl": of.packet.ttl, **_fragment(of.packet), "command": tcpdump(of, places)}


def _step(of: Step, places: Places) -> dict[str, Any]:
    told: dict[str, Any] = {"netns": of.netns, **_name(places, of.netns), "stage": of.stage, "device": of.device, "text": of.text}
    if of.rule is not None:
        told["rule"] = rule(of.rule)
    if of.clauses:
        told["clauses"] = [clause._asdict() for clause in of.clauses]
    if of.detail:
        told["detail"] = of.detail
    if of.packet is not None:
        told["packet"] = packet(of.packet)
    if of.piece is not None:
        told["piece"] = list(of.piece)
    return told


def _outcome(of: Outcome, places: Places) -> dict[str, Any]:
    fate = of.fate
    return {"condition": " and ".join(of.conditions) or "otherwise", "conditions": list(of.conditions), "verdict": fate.verdict,
            "drop": _drop(fate.drop, places), "receiver": _receiver(fate.receiver, places), "packet": packet(fate.packet),
            "netns": fate.netns, "device": fate.device, "sightings": [_sighting(s, places) for s in of.sightings]}
