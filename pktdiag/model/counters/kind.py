"""One explanation."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

BENIGN, SUSPICIOUS, BAD = "benign", "suspicious", "bad"
"""``benign``: traffic, or a loss that is meant. ``suspicious``: normal in small numbers, telling when it grows.
``bad``: a packet or a connection was lost, and somebody should know."""
RANK = {BAD: 0, SUSPICIOUS: 1, BENIGN: 2}


class Counter(NamedTuple):
    """What it counts, how bad that is, and what to do when it grows."""

    severity: str
    text: str
    todo: str = ""
    gauge: bool = False
    """A level, not a count: it goes down again, and its value since boot means nothing."""


def benign(text: str, todo: str = "", gauge: bool = False) -> Counter:
    return Counter(BENIGN, text, todo, gauge)


def suspicious(text: str, todo: str = "") -> Counter:
    return Counter(SUSPICIOUS, text, todo)


def bad(text: str, todo: str = "") -> Counter:
    return Counter(BAD, text, todo)
