"""ebtables 802_3: the LLC header of a length frame. net/bridge/netfilter/ebt_802_3.c: ebt_802_3_mt."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang, be16

SAP, TYPE = 1, 2


class Ebt8023(NamedTuple):
    """struct ebt_802_3_info."""

    sap: int
    type: int
    bitmask: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Ebt8023:
    return Ebt8023(data[0], be16(data, 2), data[4], data[5])


def evaluate(info: Ebt8023, ctx: HookContext) -> Tri:
    """Such rules need ``-p Length``; the walk's frames carry an ethertype, so none gets here."""
    return False


def render(info: Ebt8023, family: int) -> str:
    parts = []
    if info.bitmask & SAP:
        parts.append(f"--802_3-sap {bang(info.invflags & SAP)}{info.sap:#04x}")
    if info.bitmask & TYPE:
        parts.append(f"--802_3-type {bang(info.invflags & TYPE)}{info.type:#06x}")
    return " ".join(parts)
