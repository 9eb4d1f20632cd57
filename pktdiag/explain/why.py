"""``why-dropped``: the cause in one sentence, the evidence, and fixes that were walked before they are proposed."""

from __future__ import annotations

from pktdiag.explain import depends, leaving, parked
from pktdiag.explain.causes import find, stale
from pktdiag.explain.causes.case import Case, Finding, Proposal
from pktdiag.explain.whatif.changes import Change
from pktdiag.explain.whatif.overlay import OverlayHost
from pktdiag.model.question import Question
from pktdiag.model.trace import DEPENDS, LEFT_HOST, THROUGH_VERDICTS, Drop, Fix, Leg, Trace
from pktdiag.model.view import HostView, Unreadable
from pktdiag.walk.api import trace as walk_trace

MAX_REPAIRS = 4
"""How many changes in a row one fix may need (a DNAT, an accept, a masquerade, a switch)."""


def explain(host: HostView, question: Question, trace: Trace) -> Trace:
    """The same trace with summary, evidence and fixes. A packet that gets through is returned as it is, with a word of warning
    where its answer can hardly come back. One whose fate depends on something is explained by the outcome that is bad."""
    unsure = depends.unsure_leg(trace)
    if unsure is not None:
        return _unsure(host, question, trace, unsure)
    leg = failing_leg(trace)
    if leg is None or leg.drop is None:
        return leaving.warned(host, question, trace) if trace.verdict == LEFT_HOST else parked.warned(host, question, trace)
    case = make_case(host, question, trace, leg)
    finding = stale.find(case) or find(case)
    summary = finding.summary or trace.summary
    if finding.summary and leg.drop.piece:
        summary = f"{leg.drop.piece.capitalize()} is lost, and with it the whole datagram. {summary}"
    return trace._replace(summary=summary, evidence=finding.evidence,
                          fixes=_fixes(host, question, leg.drop, finding))


def _unsure(host: HostView, question: Question, trace: Trace, leg: Leg) -> Trace:
    """Every outcome in the summary; evidence and proposals for the first one in which the packet is lost."""
    summary = depends.summary(trace, leg)
    lost = depends.losing(leg)
    if lost is None or lost.drop is None:
        return trace._replace(summary=summary)
    finding = find(make_case(host, question, trace, lost, leg is trace.reply))
    told = (finding.summary,) if finding.summary and lost.drop.cause not in depends.SAID_BY_CONDITION else ()
    return trace._replace(summary=summary, evidence=(*told, *finding.evidence), fixes=_fixes(host, question, lost.drop, finding))


def _fixes(host: HostView, question: Question, drop: Drop, finding: Finding) -> tuple[Fix, ...]:
    """The proposals that are not known to be of no help: what mends the cause itself first, then what a walk verified."""
    tried = [(proposal, _as_fix(host, question, drop, proposal)) for proposal in finding.proposals]
    helping = [(not proposal.first, not fix.verified, fix) for proposal, fix in tried if fix is not None]
    return tuple(fix for _, _, fix in sorted(helping, key=lambda item: item[:2]))


def failing_leg(trace: Trace) -> Leg | None:
    """The direction that is certainly lost; None when both get through or nothing is certain."""
    for leg in (trace.request, trace.reply):
        if leg is not None and leg.verdict not in THROUGH_VERDICTS:
            return leg if leg.verdict != DEPENDS else None
    return None


def make_case(host: HostView, question: Question, trace: Trace, leg: Leg, is_reply: bool | None = None) -> Case:
    """``is_reply``: for a leg that is not one of the trace's own."""
    assert leg.drop is not None
    namespace = host.namespace(int(leg.drop.netns[5:-1]))
    return Case(host, question, trace, leg, leg.drop, namespace, leg is not trace.request if is_reply is None else is_reply)


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
        unsure = depends.unsure_leg(again)
        leg = failing_leg(again) if unsure is None else depends.losing(unsure)
        if leg is None:
            if unsure is not None:
                break
            return Fix(_in_a_row(why), tuple(commands), True)
        if leg.drop is None:
            break
        reply = (unsure or leg) is again.reply
        if number == 0:
            if leg.drop._replace(rule=None, text="") == first._replace(rule=None, text="") and _same_rule(leg.drop, first):
                return None
            then = leg.drop.text
        further = next((item for item in find(make_case(view, question, again, leg, reply)).proposals
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
