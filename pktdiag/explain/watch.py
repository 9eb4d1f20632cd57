"""What moved between two readings of a host: what it is dropping right now, and in which namespace."""

from __future__ import annotations

from pktdiag.explain.counters import flat, line, order
from pktdiag.model.counters import BENIGN, lookup
from pktdiag.model.counters.reading import CounterLine, Reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def moved(before: Sequence[Reading], after: Sequence[Reading], everything: bool = False) -> tuple[CounterLine, ...]:
    """The counters that grew, ``value`` being by how much; the worst first. A namespace that is in one of the two only
    came or went meanwhile: what it counted in between is not known, so it is left out."""
    known = {reading.netns: reading for reading in before}
    found: list[CounterLine] = []
    for reading in after:
        earlier = known.get(reading.netns)
        if earlier is None:
            continue
        old = {(name, device): value for name, device, value in flat(earlier)}
        for name, device, value in flat(reading):
            grown = value - old.get((name, device), value)
            if grown > 0 and not _level(name):
                each = line(reading.netns, name, device, grown)
                if everything or each.severity != BENIGN:
                    found.append(each)
    return tuple(sorted(found, key=order))


def _level(name: str) -> bool:
    known = lookup(name)
    return known is not None and known.gauge
