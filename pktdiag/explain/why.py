"""``why-dropped``: the cause in one sentence, the evidence, and fixes that were walked before they are proposed."""

from __future__ import annotations

from pktdiag.explain.causes import find, stale
from pktdiag.explain.causes.case import Case, Finding, Proposal
from pktdiag.explain.whatif.changes import Change
from pktdiag.explain.whatif.overlay import OverlayHost
from pktdiag.model.question import Question
from pktdiag.model.trace import THROUGH_VERDICTS, Drop, Fix, Leg, Trace
from pktdiag.model.view import HostView, Unreadable
from pktdiag.walk.api import trace as walk_trace

MAX_REPAIRS = 4
"""How many changes in a row one fix may need (a DNAT, an accept, a masquerade, a switch)."""


def explain(host: HostView, question: Question, trace: Trace) -> Trace:
    """The same trace with summary, evidence and fixes. A packet that gets through is returned as it is."""
    leg = failing_leg(trace)
    if leg is None or leg.drop is None:
        return trace
    case = make_case(host, question, trace, leg)
    finding = stale.find(case) or find(case)
    tried = [(proposal, _as_fix(host, question, leg.drop, proposal)) for proposal in finding.proposals]
    helping = [(not proposal.first, not fix.verified, fix) for proposal, fix in tried if fix is not None]
    fixes = tuple(fix for _, _, fix in sorted(helping, key=lambda item: item[:2]))
    return trace._replace(summary=finding.summary or trace.summary, fixes=fixes, evidence=finding.evidence)


def failing_leg(trace: Trace) -> Leg | None:
    """The direction that is lost; None when both get through or nothing is certain."""
    if trace.request.verdict not in THROUGH_VERDICTS:
        return trace.request
    if trace.reply is not None and trace.reply.verdict not in THROUGH_VERDICTS:
        return trace.reply
    return None


def make_case(host: HostView, question: Question, trace: Trace, leg: Leg) -> Case:
    assert leg.drop is not None
    namespace = host.namespace(int(leg.drop.netns[5:-1]))
    return Case(host, question, trace, leg, leg.drop, namespace, is_reply=leg is not trace.request)


def _as_fix(host: HostView, question: Question, first: Drop, proposal: Proposal) -> Fix | None:
    """Walks the packet with the proposal in place. Where that only moves the loss further on, what helps there is added,
    until the packet gets through or nothing helps. None: the loss stays where it was, so it is no fix."""
    if not proposal.changes:
        return Fix(proposal.why, proposal.commands, False)
    changes: list[Change] = list(proposal.changes)
    why, commands = [proposal.why], list(proposal.commands)
    then = ""
    for number in range(MAX_REPAIRS):
        view = OverlayHost(host, changes)
        try:
            again = walk_trace(view, question)
        except (Unreadable, KeyError):
            break
        leg = failing_leg(again)
        if leg is None:
            return Fix(_in_a_row(why), tuple(commands), True)
        if leg.drop is None:
            break
        if number == 0:
            if leg.drop._replace(rule=None, text="") == first._replace(rule=None, text="") and _same_rule(leg.drop, first):
                return None
            then = leg.drop.text
        further = next((item for item in find(make_case(view, question, again, leg)).proposals
                        if item.changes and not any(change in changes for change in item.changes)), None)
        if further is None:
            break
        changes += further.changes
        why.append(further.why)
        commands += further.commands
    return Fix(proposal.why + (f"; it is lost further on, then: {then.rstrip('.')}" if then else ""), proposal.commands, False)


def _same_rule(one: Drop, other: Drop) -> bool:
    """The same rule or policy, wherever an inserted rule moved it to."""
    if one.rule is None or other.rule is None:
        return one.rule is other.rule
    mine, its = ((rule.backend, rule.table, rule.chain, rule.text) for rule in (one.rule, other.rule))
    return mine == its


def _in_a_row(steps: list[str]) -> str:
    """One sentence for changes that have to be made together."""
    first, *rest = dict.fromkeys(steps)
    return "; then ".join([first, *(step[:1].lower() + step[1:] for step in rest)])


__all__ = ["Finding", "explain", "failing_leg", "make_case"]
