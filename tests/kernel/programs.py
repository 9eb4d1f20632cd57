"""Rules as real programs write them, in place of those that nobody would write.

``programs/NAME.4``, ``.6``: as iptables-save and ip6tables-save print them; ``NAME.nft``: as ``nft list ruleset`` does, one statement a line.
Those of ufw, firewalld and Shorewall were taken from the running programs; the others are written by hand in the form of theirs. Each is
set up for the devices DEVA and DEVB with the networks 10.1.0.0/24, 10.2.0.0/24, 2001:db8:1::/64 and 2001:db8:2::/64 behind them, which become
those of the namespace it is put into. The first line says which program and how it was told to do what.
"""

from __future__ import annotations

import os
import re
from random import Random

from .host import Item
from .topology import Plan

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
SHARE = 0.12
"""Of hosts that have room for a program."""
_ACTS = re.compile(r"(?<!ct status) (?=(?:accept|drop|reject|jump|goto|return|masquerade|dnat|log|update|meta mark set)\b(?! type))")


def names() -> list[str]:
    """Those there are: "ufw", "kube-proxy nft", …"""
    found = {file.rpartition(".")[0] + (" nft" if file.endswith(".nft") else "") for file in os.listdir(FOLDER)}
    return sorted(found)


def install(plan: Plan, rng: Random, wanted: str = "") -> str:
    """Gives a router the rules of one program; its name, "" for none. ``wanted``: which one, "any"; "": some hosts get one, beside the rules
    they have elsewhere. ``rng`` is a generator of its own, so that the rest of a host stays what it was."""
    ruled = {item["ns"] for item in plan.items if item["do"] in ("nft", "xt")}
    room = {name: devices for name in plan.names if len(devices := _devices(plan, name)) > 1 and (wanted or name not in ruled)}
    if not room or (not wanted and rng.random() >= SHARE):
        return ""
    ns = rng.choice(sorted(room))
    plan.items = [item for item in plan.items if item["ns"] != ns or item["do"] not in ("nft", "xt", "ipset")]
    program = wanted if wanted not in ("", "any") else rng.choice(names())
    near, far = rng.sample(room[ns], 2)
    plan.items += rules_of(program, ns, near, far, backend=rng.choice(("legacy", "nft")), ipv6=plan.ipv6)
    return program


def rules_of(program: str, ns: str, near: tuple[str, int], far: tuple[str, int], backend: str = "nft", ipv6: bool = True) -> list[Item]:
    """A program's rules; ``near``, ``far``: name of a device and number of the network behind it (10.N.0.0/24), for DEVA and DEVB."""
    replaced = {"DEVA": near[0], "DEVB": far[0], "10.1.0.": f"10.{near[1]}.0.", "10.2.0.": f"10.{far[1]}.0.",
                "2001:db8:1:": f"2001:db8:{near[1]}:", "2001:db8:2:": f"2001:db8:{far[1]}:"}
    pattern = re.compile("|".join(map(re.escape, replaced)))

    def lines(ending: str) -> list[str]:
        path = os.path.join(FOLDER, program.removesuffix(" nft") + ending)
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as file:
            return [pattern.sub(lambda found: replaced[found[0]], line.rstrip("\n")) for line in file if not line.startswith("#")]

    if program.endswith(" nft"):
        return [{"do": "nft", "ns": ns, "line": _counting(line)} for line in lines(".nft")]
    items = _restored(lines(".4"), ns, f"iptables-{backend}")
    return items + _restored(lines(".6"), ns, f"ip6tables-{backend}") if ipv6 else items


def _devices(plan: Plan, ns: str) -> list[tuple[str, int]]:
    return sorted({(each.dev, each.segment) for each in plan.interfaces if each.ns == ns and each.segment and each.dev != "lo"})


def _counting(line: str) -> str:
    """With a counter, by which the kernel says whether the rule matched: in front of what it does, or of a lookup that decides that."""
    if not line.startswith("add rule"):
        return line
    words = line.split(" ", 5)  # add rule FAMILY TABLE CHAIN STATEMENTS
    statements = " " + words[5]
    found = None if " vmap " in line else _ACTS.search(statements)
    at = found.start() if found else 0
    return f"{' '.join(words[:5])}{statements[:at]} counter{statements[at:]}"


def _restored(lines: list[str], ns: str, tool: str) -> list[Item]:
    items: list[Item] = []
    table = ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith((":", "-")):
            items.append({"do": "xt", "ns": ns, "tool": tool, "table": table, "line": line})
    return items
