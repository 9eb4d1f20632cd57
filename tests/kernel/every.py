"""Hosts that hold every expression of nf_tables and every extension of xtables: one host in four (``wanted``).

The pools say what there is (``every_nft_pool``, ``every_xt_pool``), ``every_nft`` and ``every_xt`` make rulesets of them,
``every_traffic`` makes packets that such rules look at. The other hosts of a seed are what they were without them.

Rules nobody can predict (random, rates, lists that other packets move) stand in front of verdicts only on hosts marked
``unknowable``, one in ten of these; on the others they only count, so that "depends" stays measurable.
"""

from __future__ import annotations

from typing import Any

from . import every_nft, every_xt
from .every_nft import nft_everything
from .every_traffic import packets_for_everything
from .every_xt import xt_everything
from .topology import Plan

EVERY, UNKNOWABLE = 4, 40
PACKETS_PER_HOST = 16
"""More than elsewhere: these hosts have more rules that wait for a packet."""


def kinds_of_rules(unknowable: bool = False) -> set[str]:
    """The tags of all rules of both pools. ``unknowable``: with what only unknowable hosts have, and the operators of fields."""
    tags = {entry.tag for table in ("MATCHES", "STATEMENTS") for entry in every_nft.entries(table)}
    tags |= {name for name, _, _ in every_nft.fields()}
    tags |= {row[0] for table in ("MATCHES", "TARGETS", "EBTABLES", "EBTARGETS", "ARPTABLES", "ARPTARGETS")
                   for row in every_xt.lines(table)}
    if unknowable:
        tags |= set(every_nft.OPERATORS) | {entry.tag for entry in every_nft.entries("UNKNOWABLE")}
        tags |= {row[0] for row in every_xt.lines("UNKNOWABLE")}
    return tags


def wanted(index: int) -> bool:
    return index % EVERY == EVERY - 1


def unknowable(index: int) -> bool:
    return index % UNKNOWABLE == UNKNOWABLE - 1


def prepare(plan: Plan) -> None:
    """IPv6 on every other host: half of the pool is about it."""
    plan.ipv6 = plan.ipv6 or plan.chance(0.45)


def rules_of_everything(plan: Plan, index: int) -> dict[str, Any]:
    """Adds the rules; what the host says about itself."""
    rng = plan.rng
    for item in plan.items:
        if item["do"] == "listen":
            if ":" not in item["addr"] and plan.chance(0.3):
                item["transparent"] = True
            if plan.chance(0.3):
                item["mark"] = rng.choice((1, 2, 3))
    for device in [i for i in plan.interfaces if i.dev != "lo"]:
        if plan.chance(0.25):
            plan.ip(device.ns, f"link set {device.dev} group 5")
    for name in plan.names:
        if plan.chance(0.5):
            plan.sysctl(name, "net/netfilter/nf_conntrack_acct", 1)
        draw = rng.random()
        if draw < 0.6:
            nft_everything(plan, name, unknowable(index))
        if draw > 0.45:
            xt_everything(plan, name, unknowable(index))
    return {"every": True, "unknowable": unknowable(index)}


__all__ = ["PACKETS_PER_HOST", "kinds_of_rules", "packets_for_everything", "prepare", "rules_of_everything", "unknowable", "wanted"]
