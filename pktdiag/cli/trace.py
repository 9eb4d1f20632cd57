"""``trace`` and ``why-dropped``: the same walk, read two ways."""

from __future__ import annotations

import sys

from pktdiag.cli.errors import EXIT_DEPENDS, EXIT_LOST, EXIT_THROUGH
from pktdiag.cli.host import LivePlaces, selector
from pktdiag.cli.host import namespace as named
from pktdiag.collect.live import LiveHost
from pktdiag.model.kernel import AF_INET
from pktdiag.model.trace import DEPENDS, THROUGH_VERDICTS, Trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run_trace(values: dict[str, Any]) -> int:
    return _run(values, why=False)


def run_why(values: dict[str, Any]) -> int:
    """Without a packet: watch what the host drops."""
    if not values["words"] and not values["from_log"]:
        from pktdiag.cli.watch import run as watch
        return watch(values)
    return _run(values, why=True)


def exit_status(trace: Trace) -> int:
    """0 it gets through, 1 it does not, 3 it depends."""
    if trace.verdict in THROUGH_VERDICTS:
        return EXIT_THROUGH
    return EXIT_DEPENDS if trace.verdict == DEPENDS else EXIT_LOST


def _starts_here(values: dict[str, Any]) -> bool:
    """Whether the packet is IPv4 and meets this namespace first, as far as a glance tells."""
    words = values["words"] or ()
    return not values["ns"] and bool(words) and all(word[:1].isdigit() and word.count(":") < 2 for word in words)


def _run(values: dict[str, Any], why: bool) -> int:
    host = LiveHost()
    host.assume_empty = values["assume_empty"]
    if _starts_here(values):
        host.read_early(AF_INET)
    from pktdiag.cli.question import build
    from pktdiag.walk.api import trace as walk
    question = build(host, values, selector(host), lambda text: named(host, text))
    trace = walk(host, question)
    if why:
        from pktdiag.explain.why import explain
        trace = explain(host, question, trace)
    places = LivePlaces(host)
    if values["json"]:
        from pktdiag.render.json_text import dumps
        from pktdiag.render.trace_json import document
        text = dumps(document(trace, question, places)) + "\n"
    else:
        from pktdiag.render.look import for_stream
        from pktdiag.render.trace_text import render
        text = render(trace, question, places, for_stream(sys.stdout), why)
    sys.stdout.write(text)
    return exit_status(trace)
