"""One random host with its packets, the same for the same seed and index on every machine."""

from __future__ import annotations

from random import Random
from typing import Any

from . import every, ipsec, programs, stacked, tracked
from .host import Host
from .rules_nft import nft_rules
from .rules_xt import xt_rules
from .settings import listeners, neighbours, sysctls
from .topology import Plan, routes, wire
from .traffic import oversize, packets

PACKETS_PER_HOST = 10


def generate(seed: int, index: int, without: frozenset[str] = frozenset(), everything: bool = False,
             kinds: frozenset[str] = frozenset(), program: str = "") -> Host:
    """Host number ``index`` of a seed. ``without`` strikes out whole kinds of things ("nft", "xt", "ipv6") and leaves the
    rest of the host as it is. ``everything``: one host in four holds rules of every kind (``every``). ``kinds``: device types that
    this kernel can make and others cannot (``stacked``), and whether its bridges track connections (``tracked``). ``program``: whose rules
    a router of it has (``programs``)."""
    rng = Random(f"pktdiag {seed}:{index}")
    plan = stacked.StackedPlan(rng, kinds) if stacked.wanted(index, kinds) else Plan(rng)
    whole = everything and every.wanted(index)
    if whole:
        every.prepare(plan)
    wire(plan)
    if isinstance(plan, stacked.StackedPlan):
        stacked.after_wiring(plan)
    routes(plan)
    sysctls(plan)
    neighbours(plan)
    listeners(plan)
    about: dict[str, Any] = {}
    if whole:
        about = every.rules_of_everything(plan, index)
        sent = every.packets_for_everything(plan, every.PACKETS_PER_HOST)
    else:
        for name in plan.names:
            draw = plan.rng.random()
            if draw < 0.45:
                nft_rules(plan, name)
            if 0.35 < draw < 0.75:
                xt_rules(plan, name)
        sent = packets(plan, PACKETS_PER_HOST if not program else every.PACKETS_PER_HOST)
    oversize(plan, sent)
    if isinstance(plan, stacked.StackedPlan):
        about = {**about, "unknowable": plan.unknowable or bool(about.get("unknowable"))}
    tracked.bridges(plan, Random(f"pktdiag bridges {seed}:{index}"), kinds)
    ipsec.policies(plan, Random(f"pktdiag ipsec {seed}:{index}"))
    if not whole:
        about = {**about, "program": programs.install(plan, Random(f"pktdiag programs {seed}:{index}"), program)}
    items = [item for item in plan.items if item["do"] not in without]
    if "ipv6" in without:
        sent = [packet for packet in sent if ":" not in packet["dst"]]
    return {"seed": f"{seed}:{index}", **about, "items": items, "packets": sent}
