"""The documents keep their promises."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFINITIONS = {"netfilter/context.py", "walk/services.py"}


def test_every_source_of_depends_is_in_the_table() -> None:
    table = (ROOT / "docs/depends.md").read_text()
    named = set(re.findall(r"`((?:walk|netfilter|conntrack)/[\w/.]+\.py)`", table))
    for path in sorted(named):
        assert (ROOT / "pktdiag" / path).exists(), f"docs/depends.md names {path}, which is not there"
    for package in ("walk", "netfilter", "conntrack"):
        for path in sorted((ROOT / "pktdiag" / package).rglob("*.py")):
            name = str(path.relative_to(ROOT / "pktdiag"))
            if name in DEFINITIONS:
                continue
            text = path.read_text()
            if re.search(r"(?<!\w)Unknown\(|walk\.unsure\(", text):
                assert name in named, f"{name} can make an answer depend on something; docs/depends.md does not say so"
