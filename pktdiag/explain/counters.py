"""Counters in plain words, the worst first."""

from __future__ import annotations

from pktdiag.model.counters import BAD, BENIGN, SUSPICIOUS, lookup
from pktdiag.model.counters.kind import RANK
from pktdiag.model.counters.reading import CounterLine, Reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NEARLY_FULL = 0.8
"""Share of nf_conntrack_max from which the table is worth a word."""


def explain(reading: Reading, everything: bool = False) -> tuple[CounterLine, ...]:
    """The nonzero counters that say something; ``everything``: the harmless ones too. Bad first, then suspicious, then
    as large as they are."""
    lines = [line(reading.netns, name, device, value) for name, device, value in flat(reading) if value]
    told = [each for each in lines if everything or each.severity != BENIGN]
    if reading.limits and reading.limits[0] >= reading.limits[1] * NEARLY_FULL:
        count, top = reading.limits
        told.append(CounterLine(reading.netns, "conntrack.entries", "", count, BAD if count >= top else SUSPICIOUS,
                                f"of {top} connections that can be tracked: new ones are dropped when it is full",
                                "raise net.netfilter.nf_conntrack_max, or shorten timeouts"))
    return tuple(sorted(told, key=order))


def order(each: CounterLine) -> tuple[int, int, str]:
    return RANK[each.severity], -each.value, each.name


def flat(reading: Reading) -> Iterator[tuple[str, str, int]]:
    """(name, device, value) of every counter of a reading."""
    for name, value in reading.snmp.items():
        yield name, "", value
    for device, counters in reading.devices.items():
        for name, value in counters.items():
            yield "dev." + name, device, value
    for kind, table in (("conntrack.", reading.conntrack), ("softnet.", reading.softnet)):
        for name, value in table.items():
            yield kind + name, "", value


def line(netns: str, name: str, device: str, value: int) -> CounterLine:
    """One counter explained; one we have no words for is shown as such, never hidden behind a guess."""
    known = lookup(name)
    if known is None:
        return CounterLine(netns, name, device, value, BENIGN, "not explained by pktdiag", "")
    return CounterLine(netns, name, device, value, known.severity, known.text, known.todo)
