"""The rules of real programs are what the tools take, word for word."""

from __future__ import annotations

import os

import pytest

from . import programs
from .build import Built
from .host import Item

pytestmark = pytest.mark.root


@pytest.mark.parametrize("backend", ["legacy", "nft"])
@pytest.mark.parametrize("program", programs.names())
def test_nothing_is_refused(program: str, backend: str) -> None:
    if backend == "legacy" and program.endswith(" nft"):
        backend = "nft"
    items: list[Item] = [{"do": "netns", "ns": "a"}, {"do": "ip", "ns": "a", "line": "link add a0 type bridge"},
                         {"do": "ip", "ns": "a", "line": "link add a1 type bridge"},
                         {"do": "ip", "ns": "a", "line": "addr add 2001:db8:1::1/64 dev a0 nodad"}]
    rules = programs.rules_of(program, "a", ("a0", 1), ("a1", 2), backend)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        built = Built({"items": items + rules, "packets": []}, home, lenient=True)
    finally:
        os.close(home)
    try:
        assert len(rules) >= 4 and not built.refused
    finally:
        built.close()
