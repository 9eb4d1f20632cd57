"""Which kinds of rules were met and passed over by real packets, by the kernel's counters and by what was predicted."""

from __future__ import annotations

import re
from typing import Any

from .counters import Counters, RuleKey
from .host import Host

Tally = dict[str, list[int]]
"""By tag: packets it matched, packets it did not match, of both those about which the walk was not sure."""
_ENDS = re.compile(r" (accept|drop|return|reject|queue|goto|vmap|dnat|snat|masquerade|redirect|tproxy|fwd|synproxy)|"
                   r" -[jg] (?!MARK|CONNMARK|LOG|NFLOG|DSCP|TOS|CLASSIFY|SET|TTL|HL)")


class Tags:
    """The tags of the rules of one built host, by the keys under which their counters are read."""

    def __init__(self, host: Host, counters: dict[str, Counters]) -> None:
        self.tags: dict[RuleKey, list[str]] = {}
        self.texts: dict[RuleKey, str] = {}
        self.first: dict[tuple[str, ...], RuleKey] = {}
        """Of every chain the bare counter in front, which counts the packets that came."""
        self.straight: set[tuple[str, ...]] = set()
        """Chains in which every rule is looked at."""
        for name, reader in counters.items():
            present: dict[tuple[str, ...], list[RuleKey]] = {}
            for key in reader.every_rule():
                if key[5]:
                    present.setdefault(key[1:5], []).append(key)
            wanted: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for item in host["items"]:
                if item["ns"] == name and (chain := _chain(item)):
                    wanted.setdefault(chain, []).append(item)
            for chain, items in wanted.items():
                keys = sorted(present.get(chain, []), key=lambda key: key[5])
                if len(keys) != len(items):
                    continue
                self.first[(name, *chain)] = keys[0]
                if not any(_ENDS.search(item["line"]) for item in items):
                    self.straight.add((name, *chain))
                self.texts |= {key: item["line"] for key, item in zip(keys, items)}
                for key, item in zip(keys, items):
                    if item.get("tags"):
                        self.tags[key] = item["tags"]

    def count(self, tally: Tally, moved: dict[RuleKey, int], unsure: set[RuleKey]) -> None:
        """Adds one packet."""
        for key, tags in self.tags.items():
            chain = key[:5]
            if not moved.get(self.first[chain]):
                continue
            hit = bool(moved.get(key))
            if not hit and chain not in self.straight:
                continue
            for tag in tags:
                numbers = tally.setdefault(tag, [0, 0, 0])
                numbers[not hit] += 1
                numbers[2] += key in unsure


def _chain(item: dict[str, Any]) -> tuple[str, ...] | None:
    """(back end, family, table, chain) of a rule, as RuleKey has them."""
    words = item.get("line", "").split()
    if item["do"] == "nft" and words[:2] == ["add", "rule"]:
        return "nft", words[2], words[3], words[4]
    if item["do"] == "xt" and words[0] == "-A":
        family = {"ip6": "ip6", "ebt": "bridge", "arp": "arp"}.get(item["tool"][:3], "ip")
        return ("xt" if item["tool"].endswith("-legacy") else "nft"), family, item["table"], words[1]
    return None


def merge(into: Tally, other: Tally) -> None:
    for tag, numbers in other.items():
        mine = into.setdefault(tag, [0, 0, 0])
        for at, number in enumerate(numbers):
            mine[at] += number
