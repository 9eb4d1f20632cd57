"""A trace as text for the engineer on call: the answer in the first line, then cause, evidence, fix, then the way.

Every name, rule and device comes from the host and passes ``safe.text`` before it is printed.
"""

from __future__ import annotations

from pktdiag.model.packet import Packet, format_address
from pktdiag.model.question import Question
from pktdiag.model.trace import DEPENDS, THROUGH_VERDICTS, Drop, Fix, Leg, Outcome, Receiver, RuleRef, Trace
from pktdiag.render import trace_steps
from pktdiag.render.look import Look
from pktdiag.render.places import Places, place_of
from pktdiag.render.safe import text as safe
from pktdiag.render.sightings import capabilities, described, tcpdump

_VERDICT_STYLES = {"delivered": "green", "left-host": "green", "dropped": "red", "rejected": "red", "depends": "yellow"}


def render(trace: Trace, question: Question, places: Places, look: Look, why: bool) -> str:
    """The whole text, ending in a newline. ``why``: cause, evidence and fix; otherwise the way, stage by stage."""
    lines = _headline(trace, question, places, look)
    lost = _losing_leg(trace)
    if lost is not None and lost.drop is not None:
        lines += _cause(lost, lost.drop, places, look, trace.reply is lost, trace.summary)
    if trace.verdict == DEPENDS or (trace.reply is not None and trace.reply.verdict == DEPENDS):
        lines += _outcomes(trace, places, look)
    if why:
        lines += _evidence(trace.evidence, lost or trace.request, places, look)
        lines += _fixes(trace.fixes, look)
    else:
        lines += _way("Request", trace.request, places, look)
        if trace.reply is not None:
            lines += _way("Reply", trace.reply, places, look)
        lines += _tcpdump_section(trace, places, look)
    lines += _notes(trace, look)
    return "\n".join(lines) + "\n"


def _heading(title: str, look: Look) -> list[str]:
    return ["", look.paint(title, "bold")]


def _headline(trace: Trace, question: Question, places: Places, look: Look) -> list[str]:
    style = _VERDICT_STYLES.get(trace.verdict, "bold")
    verdict = trace.verdict.upper()
    body = look.wrap(safe(trace.summary), 0, style="bold")
    head = look.paint(verdict, style, "bold")
    first = look.wrap(safe(trace.summary), 0)
    if len(verdict) + 2 + len(first[0]) <= look.width and len(first) == 1:
        lines = [f"{head}  {body[0]}"]
    else:
        lines = [head, *look.wrap(safe(trace.summary), 2, style="bold")]
    packet = question.packet
    start = safe(place_of(places, question.netns).label)
    what = described(packet) if any(packet.src) else _with_source(trace, packet)
    how = f"sent by {start}" if question.ingress is None else f"arriving in {start} from outside"
    lines += look.labelled("packet", f"{what}, {packet.length} bytes, ttl {packet.ttl}, {how}")
    receiver = trace.request.receiver
    if receiver is not None:
        lines += look.labelled("received", _receiver(receiver, places))
    return lines


def _with_source(trace: Trace, packet: Packet) -> str:
    """A sender that leaves its address to routing: the one it got, as the first step or tap that knows it shows."""
    known = [step.packet for step in trace.request.steps if step.packet is not None]
    known += [sighting.packet for sighting in trace.request.sightings] + [trace.request.packet]
    source = next((item.src for item in known if any(item.src) and len(item.src) == len(packet.src)), None)
    if source is None:
        return described(packet).replace(format_address(packet.src), "(no source)", 1)
    return described(packet._replace(src=source)) + " (source chosen by routing)"


def _receiver(receiver: Receiver, places: Places) -> str:
    who = receiver.process or "unknown process"
    if receiver.pid is not None:
        who += f" (pid {receiver.pid})"
    socket = f" on {receiver.socket}" if receiver.socket else ""
    label = place_of(places, receiver.netns).label
    where = f"container {receiver.container}" if receiver.container else label
    return safe(f"{who}{socket}, in {where}")


def _losing_leg(trace: Trace) -> Leg | None:
    """The leg that explains the verdict: the request unless it got through, then the reply."""
    if trace.request.verdict not in THROUGH_VERDICTS:
        return trace.request
    if trace.reply is not None and trace.reply.verdict not in THROUGH_VERDICTS:
        return trace.reply
    return None


def _cause(leg: Leg, drop: Drop, places: Places, look: Look, reply: bool, told: str) -> list[str]:
    """``told``: the summary above; what it says already is not said again."""
    lines = _heading("Cause" + (" (on the answer's way back)" if reply else ""), look)
    where = safe(f"{drop.stage}, {f'on {drop.device} ' if drop.device else ''}in {place_of(places, drop.netns).label}")
    lines += look.labelled("where", where)
    if drop.reason:
        lines += look.labelled("reason", safe(drop.reason), style="red")
        from pktdiag.model.reasons import text_of
        lines += look.labelled("", safe(text_of(drop.reason)))
    if drop.text.rstrip(".").lower() not in told.lower() and (drop.rule is None or drop.reason != "NETFILTER_DROP"):
        lines += look.labelled("what", safe(drop.text))
    if drop.answer:
        lines += look.labelled("answer", safe(drop.answer) + " goes back to the sender")
    if drop.rule is not None:
        lines += rule_lines(drop.rule, look)
    return lines


def rule_lines(rule: RuleRef, look: Look) -> list[str]:
    """The rule, where it stands, its counter, and the command that shows it."""
    handle = f", handle {rule.handle}" if rule.handle is not None else ""
    place = f"policy of {rule.chain}" if rule.index == 0 else f"rule {rule.index} of {rule.chain}"
    count = f", {rule.packets} packets so far" if rule.packets is not None else ""
    lines = look.labelled("rule", safe(rule.text))
    lines += look.labelled("", safe(f"{place}, table {rule.family} {rule.table} ({rule.backend}{handle}){count}"))
    lines += command(safe(rule.show), look, 12)
    return lines


def command(line: str, look: Look, indent: int = 4) -> list[str]:
    """A command, never wrapped: it is there to be copied."""
    return [" " * indent + look.paint("$ " + line, "cyan")]


def _outcomes(trace: Trace, places: Places, look: Look) -> list[str]:
    lines: list[str] = []
    for title, leg in (("It depends", trace.request), ("The answer depends", trace.reply)):
        if leg is None or leg.verdict != DEPENDS:
            continue
        lines += _heading(title, look)
        for outcome in leg.outcomes:
            lines += _outcome(outcome, places, look)
        if not leg.outcomes and leg.drop is not None:
            lines += look.wrap("on " + safe(leg.drop.text), 2)
    return lines


def _outcome(outcome: Outcome, places: Places, look: Look) -> list[str]:
    fate = outcome.fate
    from pktdiag.explain.depends import under
    if fate.verdict == DEPENDS and fate.drop is not None and outcome.conditions == (fate.drop.text,):
        return look.wrap("on " + safe(fate.drop.text), 2)
    lines = look.wrap(safe(under(outcome.conditions)) + ":", 2)
    if fate.drop is not None:
        verdict = "it depends further on" if fate.verdict == DEPENDS else fate.verdict + ","
        end = f"{verdict} {fate.drop.reason + ': ' if fate.drop.reason else ''}{fate.drop.text}"
    elif fate.receiver is not None:
        end = f"{fate.verdict} to {_receiver(fate.receiver, places)}"
    else:
        end = f"{fate.verdict} through {fate.device}"
    return lines + look.wrap(safe(end), 6, style=_VERDICT_STYLES.get(fate.verdict, ""))


def _fixes(fixes: tuple[Fix, ...], look: Look) -> list[str]:
    if not fixes:
        return []
    lines = _heading("Fix" if len(fixes) == 1 else "Fixes, any one of them", look)
    for fix in fixes:
        lines += look.wrap(safe(fix.why), 2)
        for line in fix.commands:
            lines += command(safe(line), look)
        lines += look.wrap("Walked again with this change: it gets through." if fix.verified else "Not verified by a walk.", 4, style="dim")
    return lines


def _evidence(facts: tuple[str, ...], leg: Leg, places: Places, look: Look) -> list[str]:
    """What was read, and where the host itself shows it: counters, rules hit, taps."""
    lines = _heading("Evidence", look)
    for fact in facts:
        lines += look.wrap(safe(fact), 4, 2)
    drop = leg.drop
    if drop is not None:
        for name in drop.counters:
            lines += _counter(name, drop.netns, places, look, any(name in fact for fact in facts))
    if drop is not None and not drop.counters and drop.rule is not None:
        lines += look.wrap("No SNMP counter moves for this drop, only the rule's own.", 2)
    near = [seen for seen in leg.sightings if drop is None or not drop.piece or seen.netns == drop.netns]
    last = near[-1] if near else None
    if last is not None:
        lines += look.wrap(safe(f"Last seen {'entering by' if last.direction == 'in' else 'leaving by'} {last.device} in "
                                f"{place_of(places, last.netns).label} ({capabilities(last, places)}):"), 2)
        lines += command(safe(tcpdump(last, places)), look)
    elif drop is not None:
        lines += look.wrap("No packet tap sees it: it ends before it reaches a device.", 2)
    lines += trace_steps.summary(leg, places, look)
    return lines if len(lines) > 2 else []


def _counter(name: str, netns: str, places: Places, look: Look, told: bool) -> list[str]:
    """What the counter means, and how to read it unless a fact has ``told`` that."""
    from pktdiag.model.counters import lookup
    known = lookup(name)
    meaning = f": {known.text}" if known is not None else ""
    if told:
        return look.wrap(f"{name}{meaning}", 4, 2) if meaning else []
    enter = place_of(places, netns).enter
    return look.wrap(f"{name} counts it{meaning}", 2) + command(safe(f"{enter.rstrip() + ' ' if enter else ''}nstat -az {name}"), look)


def _way(title: str, leg: Leg, places: Places, look: Look) -> list[str]:
    lines = _heading(f"{title}: {described(leg.packet)} as it ends up, {leg.verdict}", look)
    return lines + trace_steps.steps(leg, places, look)


def _tcpdump_section(trace: Trace, places: Places, look: Look) -> list[str]:
    """Each device's command once, in the order in which the request passes them."""
    seen: dict[str, str] = {}
    for sighting in trace.request.sightings:
        seen.setdefault(tcpdump(sighting, places), capabilities(sighting, places))
    if not seen:
        return []
    lines = _heading("Watch it on its way", look)
    for need in dict.fromkeys(seen.values()):
        lines += look.wrap(f"needs {need}:", 2)
        for line, of in seen.items():
            if of == need:
                lines += command(safe(line), look)
    return lines


def _notes(trace: Trace, look: Look) -> list[str]:
    lines: list[str] = []
    assumed = list(dict.fromkeys(trace.request.assumptions + (trace.reply.assumptions if trace.reply is not None else ())))
    for title, notes in (("Assumed", assumed), ("Could not be read", list(dict.fromkeys(trace.gaps)))):
        if notes:
            lines += _heading(title, look)
            for note in notes:
                lines += look.wrap(safe(note), 4, 2)
    return lines
