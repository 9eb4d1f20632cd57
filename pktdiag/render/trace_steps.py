"""The way of a packet, stage by stage: a block per namespace, a line per step, the rule and its clauses below it."""

from __future__ import annotations

from pktdiag.model.trace import Clause, Leg, RuleRef, Step
from pktdiag.render.look import Look
from pktdiag.render.places import Places, place_of
from pktdiag.render.safe import text as safe
from pktdiag.render.sightings import described

STAGE_COLUMN, DEVICE_COLUMN = 2, 19
MARKS = {True: "\u2713", False: "\u2717", None: "\u00b7"}
ASCII_MARKS = {True: "+", False: "-", None: "?"}


def steps(leg: Leg, places: Places, look: Look) -> list[str]:
    """Every step of a leg."""
    lines: list[str] = []
    at, stage = "", ""
    text_column = _text_column(leg, look)
    for step in leg.steps:
        if step.netns != at:
            at, stage = step.netns, ""
            label = safe(place_of(places, at).label)
            lines.append(look.paint(f"  in {label}" + (f" ({at})" if label != at else ""), "cyan"))
        lines += _step(step, stage, text_column, look)
        stage = step.stage
    return lines


def _text_column(leg: Leg, look: Look) -> int:
    longest = max((len(safe(step.device)) for step in leg.steps), default=0)
    return DEVICE_COLUMN + min(max(longest, 4), 16 if look.width >= 100 else 12) + 2


def _step(step: Step, before: str, column: int, look: Look) -> list[str]:
    lines = look.wrap(safe(step.text), column)
    stage = step.stage if step.stage != before else ""
    device = safe(step.device)
    head = f"{' ' * STAGE_COLUMN}{stage:<{DEVICE_COLUMN - STAGE_COLUMN - 1}} {device}"
    if len(head) >= column:
        lines.insert(0, head)
    else:
        plain = f"{' ' * STAGE_COLUMN}{look.paint(stage, 'bold')}{' ' * (DEVICE_COLUMN - STAGE_COLUMN - len(stage))}{device}"
        lines[0] = plain + " " * (column - len(head)) + lines[0][column:]
    if step.rule is not None:
        lines += _rule(step.rule, step.clauses, column, look)
    if step.packet is not None:
        lines += look.wrap(safe(f"now {described(step.packet)}"), column, style="dim")
    return lines


def _rule(rule: RuleRef, clauses: tuple[Clause, ...], column: int, look: Look) -> list[str]:
    where = f"{rule.family} {rule.table} {rule.chain}" + (f" rule {rule.index}" if rule.index else " policy")
    lines = look.wrap(safe(f"{where}: {rule.text}"), column + 2, column, style="dim")
    if any(clause.matched is not True for clause in clauses):
        marks = MARKS if look.unicode else ASCII_MARKS
        lines += look.wrap("  ".join(f"{marks[clause.matched]}{safe(clause.text)}" for clause in clauses), column + 2, style="dim")
    return lines


def summary(leg: Leg, places: Places, look: Look) -> list[str]:
    """The way in short: the devices a tap would show it on."""
    hops = []
    for sighting in leg.sightings:
        hop = safe(f"{place_of(places, sighting.netns).label}:{sighting.device} {sighting.direction}")
        if not hops or hops[-1] != hop:
            hops.append(hop)
    if len(hops) < 2:
        return []
    arrow = " \u2192 " if look.unicode else " -> "
    return look.wrap("Its way: " + arrow.join(hops), 4, 2)
