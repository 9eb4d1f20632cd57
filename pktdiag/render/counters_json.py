"""Counters as JSON: ``pktdiag.counters/1`` (one namespace) and ``pktdiag.watch/1`` (what moved on the host)."""

from __future__ import annotations

from pktdiag.model.counters.reading import CounterLine
from pktdiag.render.places import Places, place_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def document(schema: str, lines: Sequence[CounterLine], places: Places, **more: Any) -> dict[str, Any]:
    """``more`` are further top-level fields. Severity is "bad", "suspicious" or "benign"; device is null unless the
    counter is an interface's."""
    return {"schema": schema, **more, "counters": [
        {"netns": line.netns, "netns_name": place_of(places, line.netns).label, "name": line.name, "device": line.device or None,
         "value": line.value, "severity": line.severity, "text": line.text, "todo": line.todo} for line in lines]}
