"""Counters and what moved, as text."""

from __future__ import annotations

from pktdiag.model.counters import BAD, BENIGN, SUSPICIOUS
from pktdiag.model.counters.reading import CounterLine
from pktdiag.render.look import Look
from pktdiag.render.places import Places, place_of
from pktdiag.render.safe import text as safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLES = {BAD: "red", SUSPICIOUS: "yellow", BENIGN: "dim"}
_TITLES = {BAD: "Bad", SUSPICIOUS: "Suspicious", BENIGN: "Harmless"}


def counters(lines: Sequence[CounterLine], places: Places, netns: str, look: Look) -> str:
    """The counters of one namespace."""
    out = [look.paint(f"Counters of {safe(place_of(places, netns).label)}, since it was started", "bold")]
    if not lines:
        out.append("Nothing bad or suspicious was counted. (--all shows the harmless counters)")
    return "\n".join(out + _groups(lines, look, "")) + "\n"


def moved(lines: Sequence[CounterLine], seconds: float, namespaces: int, gaps: Sequence[str], places: Places, look: Look) -> str:
    """What a watch saw, by namespace."""
    took = f"{seconds:g} s in {namespaces} namespace{'s' if namespaces != 1 else ''}"
    bad = sum(1 for line in lines if line.severity == BAD)
    if bad:
        head = look.paint(f"Something is being lost: {bad} bad counter{'s' if bad != 1 else ''} moved within {took}.", "red", "bold")
    elif lines:
        head = look.paint(f"Nothing is plainly being lost; suspicious counters moved within {took}.", "yellow", "bold")
    else:
        head = look.paint(f"No counter of a loss moved within {took}.", "green", "bold")
    out = look.wrap(head, 0) if not look.color else [head]
    out += look.wrap("A drop by a netfilter rule moves no such counter, only the rule's own: for those, ask about a packet "
                     "(pktdiag why-dropped SRC DST).", 0, style="dim")
    for netns in dict.fromkeys(line.netns for line in lines):
        out += ["", look.paint(f"in {safe(place_of(places, netns).label)}", "cyan", "bold")]
        out += _groups([line for line in lines if line.netns == netns], look, "+", blank=False)
    if gaps:
        out += ["", look.paint("Could not be read", "bold")]
        for gap in gaps:
            out += look.wrap(safe(gap), 4, 2)
    return "\n".join(out) + "\n"


def _groups(lines: Sequence[CounterLine], look: Look, sign: str, blank: bool = True) -> list[str]:
    out: list[str] = []
    width = max((len(f"{sign}{line.value}") for line in lines), default=0)
    for severity in (BAD, SUSPICIOUS, BENIGN):
        group = [line for line in lines if line.severity == severity]
        if group:
            out += ([""] if blank else []) + [look.paint(_TITLES[severity], _STYLES[severity], "bold")]
        for line in group:
            on = f" on {safe(line.device)}" if line.device else ""
            head = f"  {sign + str(line.value):>{width}}  {safe(line.name)}{on}"
            out.append(look.paint(head, _STYLES[severity]) if severity != BENIGN else head)
            out += look.wrap(line.text, width + 4)
            if line.todo and severity != BENIGN:
                out += look.wrap("-> " + line.todo, width + 7, width + 4, style="dim")
    return out
