"""A rule as the parts it is written in."""

from __future__ import annotations

from typing import NamedTuple

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.rule import Rule


class Part(NamedTuple):
    """One statement or match of a rule."""

    text: str
    first: int
    last: int
    """The expressions (0-based, inclusive) it was made from."""


def rule_parts(ns: NamespaceView, rule: Rule) -> tuple[str, list[Part]]:
    """(backend, parts)."""
    return "nft", [Part(type(each).__name__.lower(), at, at) for at, each in enumerate(rule.expressions())]
