"""The way of a packet, stage by stage: a block per namespace, a line per step, the rule and its clauses below it."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import Clause, Leg, RuleRef, Step
from pktdiag.render.look import Look
from pktdiag.render.places import Places, place_of
from pktdiag.render.safe import text as safe
from pktdiag.render.sightings import described

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

STAGE_COLUMN = 2
MARKS = {True: "\u2713", False: "\u2717", None: "\u00b7"}
ASCII_MARKS = {True: "+", False: "-", None: "?"}


class _Columns(NamedTuple):
    device: int
    text: int


def steps(leg: Leg, places: Places, look: Look) -> list[str]:
    """Every step of a leg; the packet is named again where it changed."""
    lines: list[str] = []
    at, stage, shown = "", "", ""
    columns = _columns(leg, look)
    told: Iterable[Step] = leg.steps
    if any(step.piece is not None for step in leg.steps):
        from pktdiag.render.piece_steps import told_once

        told = told_once(leg.steps)
    for step in told:
        if step.netns != at:
            at, stage = step.netns, ""
            label = safe(place_of(places, at).label)
            lines.append(look.paint(f"  in {label}" + (f" ({at})" if label != at else ""), "cyan"))
        lines += _step(step, stage, columns, look)
        stage = step.stage
        if step.packet is not None and described(step.packet) != shown:
            shown = described(step.packet)
            lines += look.wrap(safe(shown), columns.text, style="dim")
    return lines


def _columns(leg: Leg, look: Look) -> _Columns:
    stage = max((len(step.stage) for step in leg.steps), default=0)
    longest = max((len(safe(step.device)) for step in leg.steps), default=0)
    device = STAGE_COLUMN + stage + 2
    if look.width < device + 46:
        return _Columns(device, 6)  # too narrow for columns: the sentence goes below its stage
    return _Columns(device, device + min(longest, 15 if look.width >= 100 else 10) + (2 if longest else 0))


def _step(step: Step, before: str, columns: _Columns, look: Look) -> list[str]:
    text = _without_rule(step.text, step.rule)
    lines = look.wrap(safe(text), columns.text)
    stage = step.stage if step.stage != before else ""
    device = safe(step.device)
    head = " " * STAGE_COLUMN + look.paint(stage, "bold") + " " * (columns.device - STAGE_COLUMN - len(stage)) + device
    used = columns.device + len(device)
    if used >= columns.text and text:
        lines.insert(0, head)
    else:
        lines[0] = head + " " * (columns.text - used) + lines[0][columns.text:]
    if step.rule is not None:
        lines += _rule(step.rule, step.clauses, columns.text, look, text)
    return lines


def _without_rule(text: str, rule: RuleRef | None) -> str:
    """The step's sentence without the rule's text, which stands below it."""
    if rule is None or not rule.text or rule.text not in text:
        return text
    return text.replace(rule.text, "", 1).rstrip(" :.")


def _rule(rule: RuleRef, clauses: tuple[Clause, ...], column: int, look: Look, said: str) -> list[str]:
    """``said``: the sentence above it, which may name the rule's place already."""
    place = f"{rule.family} {rule.table} {rule.chain}"
    where = "" if place in said else place + (f" rule {rule.index}" if rule.index else " policy") + ": "
    lines = look.wrap(safe(where + rule.text), column + 2, column, style="dim")
    if any(clause.matched is not True for clause in clauses):
        marks = MARKS if look.unicode else ASCII_MARKS
        lines += look.wrap(" ".join(f"{marks[clause.matched]}{safe(clause.text)}" for clause in clauses), column + 2, style="dim")
    return lines


def summary(leg: Leg, places: Places, look: Look) -> list[str]:
    """The way in short: the devices a tap would show it on; of fragments, the first one's."""
    hops: list[str] = []
    for sighting in [seen for seen in leg.sightings if not seen.packet.fragment_offset] or leg.sightings:
        hop = safe(f"{place_of(places, sighting.netns).label}:{sighting.device} {sighting.direction}")
        if not hops or hops[-1] != hop:
            hops.append(hop)
    if len(hops) < 2:
        return []
    arrow = " \u2192 " if look.unicode else " -> "
    return look.wrap("Its way: " + arrow.join(hops), 4, 2)
