"""Deliberate faults in the program under test, one at a time: each has to be found, or the harness is not worth much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

FAULTS: dict[str, object] = {}


@contextmanager
def applied(name: str) -> Iterator[None]:
    """With the named fault in place; "" for none."""
    yield
