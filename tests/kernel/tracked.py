"""Bridges that are promiscuous, and bridges that track connections themselves where the kernel has nf_conntrack_bridge.

Drawn beside the rest of the host, which stays what its seed always made of it.
"""

from __future__ import annotations

import subprocess
from random import Random

from .settings import PORTS
from .topology import Plan

MODULE = "nf_conntrack_bridge"
_STATES = ("new", "established", "invalid", "untracked", "related", "new,untracked")
_RULES = "add table bridge t; add chain bridge t c; add rule bridge t c ct state new"


def found() -> frozenset[str]:
    """Its name, where bridge rules may ask for the state of a connection."""
    done = subprocess.run(["unshare", "-n", "nft", _RULES], capture_output=True)
    return frozenset() if done.returncode else frozenset((MODULE,))


def bridges(plan: Plan, rng: Random, kinds: frozenset[str]) -> None:
    for name in plan.names:
        for bridge in plan.bridges[name]:
            if rng.random() < 0.15:
                plan.ip(name, f"link set {bridge} promisc on")
        if plan.bridges[name] and rng.random() < 0.5 and MODULE in kinds:
            _rules(plan, rng, name)


def _rules(plan: Plan, rng: Random, ns: str) -> None:
    lines = ["add table bridge tracked"]
    for number in range(rng.choice((1, 2, 3))):
        hook = rng.choice(("prerouting", "input", "forward", "output", "postrouting"))
        lines.append(f"add chain bridge tracked c{number} {{ type filter hook {hook} priority {rng.choice((-250, -150, -10, 0, 10, 300))}; }}")
        for _ in range(rng.choice((1, 2, 3))):
            match = rng.choice((f"ct state {rng.choice(_STATES)}", f"ct status {rng.choice(('confirmed', 'dnat', 'seen-reply'))}",
                                f"ct state {rng.choice(_STATES)} udp dport {rng.choice(PORTS)}", f"ether type arp ct state {rng.choice(_STATES)}",
                                "ct direction reply", "ct mark 0"))
            lines.append(f"add rule bridge tracked c{number} {match} counter {rng.choice(('', '', '', 'accept', 'drop', 'ct mark set 1'))}".rstrip())
        if hook == "prerouting" and rng.random() < 0.2:
            lines.append(f"add rule bridge tracked c{number} ip protocol udp counter notrack")
    age = {"early": True} if rng.random() < 0.3 else {}  # than the bridges': see br_netfilter.before_tracking
    plan.items += [{"do": "nft", "ns": ns, "line": line, **age} for line in lines]
