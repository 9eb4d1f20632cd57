"""``topology``: the whole host as a tree, a graph or JSON."""

from __future__ import annotations

import sys

from pktdiag.cli.errors import CliError, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMATS = ("tree", "dot", "mermaid", "json")


def run(values: dict[str, Any]) -> int:
    form = "json" if values["json"] else values["format"]
    if form not in FORMATS:
        raise CliError("unknown-format", f"--format {form!r} is not known", near(form, list(FORMATS)), f"use one of {', '.join(FORMATS)}")
    from pktdiag.collect.live import LiveHost
    from pktdiag.explain.topology import build
    from pktdiag.render.look import for_stream
    from pktdiag.render.topology import render
    look = for_stream(sys.stdout)
    text = render(build(LiveHost()), form, look.width, look.color)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    return 0
