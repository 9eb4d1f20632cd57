"""What every renderer hands back."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple


class Part(NamedTuple):
    """One match or statement of a rule as it is printed."""

    text: str
    first: int
    last: int
    """The expressions (0-based, inclusive) it was made from."""


class NotTheirsError(Exception):
    """iptables, ebtables or arptables would not have written this rule."""
