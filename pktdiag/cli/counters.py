"""``counters``: what one namespace has counted, in plain words."""

from __future__ import annotations

import sys

from pktdiag.cli.host import LivePlaces, namespace
from pktdiag.collect.live import LiveHost
from pktdiag.collect.statfiles import read
from pktdiag.explain.counters import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(values: dict[str, Any]) -> int:
    host = LiveHost()
    ns = namespace(host, values["ns"])
    lines = explain(read(ns, with_softnet=True), values["all"])
    places = LivePlaces(host)
    if values["json"]:
        from pktdiag.render.counters_json import document
        from pktdiag.render.json_text import dumps
        sys.stdout.write(dumps(document("pktdiag.counters/1", lines, places, netns=ns.id)) + "\n")
        return 0
    from pktdiag.render.counters_text import counters
    from pktdiag.render.look import for_stream
    sys.stdout.write(counters(lines, places, ns.id, for_stream(sys.stdout)))
    return 0
