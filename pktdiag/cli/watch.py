"""``why-dropped`` without a packet: every namespace's counters, read twice."""

from __future__ import annotations

import sys
import time

from pktdiag.cli.errors import EXIT_LOST, EXIT_THROUGH
from pktdiag.cli.fields import duration
from pktdiag.cli.host import LivePlaces, namespace
from pktdiag.collect.live import LiveHost
from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.collect.statfiles import read
from pktdiag.explain.watch import moved
from pktdiag.model.counters import BAD
from pktdiag.model.counters.reading import Reading
from pktdiag.model.view import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def run(values: dict[str, Any]) -> int:
    """0: nothing bad moved; 1: something is being lost."""
    seconds = duration(values["for_"])
    host = LiveHost()
    watched = [namespace(host, values["ns"])] if values["ns"] else list(host.namespaces())
    gaps = [f"{gap.what}: {gap.why}" + (f" ({gap.remedy})" if gap.remedy else "") for gap in host.gaps()]
    started = time.monotonic()
    before = _read_all(host, watched, gaps)
    if sys.stderr.isatty():
        print(f"watching {len(before)} namespaces for {seconds:g} s …", file=sys.stderr)
    time.sleep(max(0.0, seconds - (time.monotonic() - started)))
    lines = moved(before, _read_all(host, watched, []))
    places = LivePlaces(host)
    if values["json"]:
        from pktdiag.render.counters_json import document
        from pktdiag.render.json_text import dumps
        sys.stdout.write(dumps(document("pktdiag.watch/1", lines, places, seconds=seconds, namespaces=len(before), gaps=gaps)) + "\n")
    else:
        from pktdiag.render.counters_text import moved as text
        from pktdiag.render.look import for_stream
        sys.stdout.write(text(lines, seconds, len(before), gaps, places, for_stream(sys.stdout)))
    return EXIT_LOST if any(line.severity == BAD for line in lines) else EXIT_THROUGH


def _read_all(host: LiveHost, watched: Sequence[LiveNamespace], gaps: list[str]) -> list[Reading]:
    own = host.current_namespace().id
    readings = []
    for ns in watched:
        try:
            readings.append(read(ns, with_softnet=ns.id == own))
        except Unreadable as error:
            gaps.append(f"{error.gap.what} of {ns.id}: {error.gap.why}" + (f" ({error.gap.remedy})" if error.gap.remedy else ""))
    return readings
