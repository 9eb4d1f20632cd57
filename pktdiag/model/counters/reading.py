"""All counters of one namespace at one moment, and one line of a report about them."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Reading(NamedTuple):
    """What one namespace had counted at one moment."""

    netns: str
    snmp: Mapping[str, int]
    """nstat's names."""
    devices: Mapping[str, Mapping[str, int]]
    """By interface name, then ``rx_dropped`` and the like."""
    conntrack: Mapping[str, int]
    """Sums over the CPUs; empty where conntrack is not there or shows none."""
    softnet: Mapping[str, int]
    """Sums over the CPUs; host-wide, so read for one namespace only and empty for the others."""
    limits: tuple[int, int] | None
    """(nf_conntrack_count, nf_conntrack_max)."""


class CounterLine(NamedTuple):
    """One counter that says something."""

    netns: str
    name: str
    """nstat's name, or "dev.rx_dropped", "softnet.dropped", "conntrack.drop"."""
    device: str
    """Interface, for dev.*; else ""."""
    value: int
    """Since boot (or since the namespace was made); for a watch, how far it moved."""
    severity: str
    text: str
    todo: str
