"""``hooks``: what runs at each netfilter hook of one namespace, in the kernel's order."""

from __future__ import annotations

import sys

from pktdiag.cli.host import namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(values: dict[str, Any]) -> int:
    from pktdiag.collect.live import LiveHost
    from pktdiag.explain.hooks import build
    from pktdiag.render import hooks as render
    from pktdiag.render.look import for_stream
    host = LiveHost()
    report = build(host, namespace(host, values["ns"]))
    if values["json"]:
        told = render.render_json(report)
        from pktdiag.render.json_text import dumps
        text = told if isinstance(told, str) else dumps(told)
    else:
        look = for_stream(sys.stdout)
        text = render.render_text(report, look.width, look.color)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    return 0
