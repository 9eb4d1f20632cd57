"""Which kinds of rules were met and passed over by real packets, by the kernel's counters and by what was predicted."""

from __future__ import annotations

import re
from typing import Any

from .counters import Counters, RuleKey
from .host import Host

Tally = dict[str, list[int]]
"""By tag: packets it matched, packets it did not match, and how many of either were not judged: the walk was not sure."""
_ENDS = re.compile(r" (accept|drop|return|reject|queue|goto|vmap|dnat|snat|masquerade|redirect|tproxy|fwd|synproxy)|"
                   r" -[jg] (?!MARK|CONNMARK|LOG|NFLOG|DSCP|TOS|CLASSIFY|SET|TTL|HL)")
_MAP = re.compile(r" vmap | [ds]nat .* map ")
"""The counter of such a rule stands in front of what may match. Its verdicts leave the chain (see the pool), so that whoever comes to
the next rule was not in the map."""


class Tags:
    """The tags of the rules of one built host, by the keys under which their counters are read."""

    def __init__(self, host: Host, counters: dict[str, Counters]) -> None:
        self.tags: dict[RuleKey, list[str]] = {}
        self.texts: dict[RuleKey, str] = {}
        self.chains: list[tuple[list[RuleKey], bool]] = []
        """The rules of each chain that bear tags, in their order, and whether every rule of it is looked at. The first counts what came."""
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
                keys = present.get(chain, [])
                if len(keys) != len(items):
                    continue
                self.texts |= {key: item["line"] for key, item in zip(keys, items)}
                tagged = {key: item["tags"] for key, item in zip(keys, items) if item.get("tags")}
                if tagged:
                    self.tags |= tagged
                    self.chains.append((keys, not any(_ENDS.search(item["line"]) for item in items)))

    def count(self, tally: Tally, moved: dict[RuleKey, int], unsure: set[RuleKey] | None) -> None:
        """Adds one packet. A rule was looked at when it matched, or when a later one of its chain did. ``unsure``: rules of which
        nothing definite was foretold; None: none of them was judged."""
        for keys, straight in self.chains:
            came = moved.get(keys[0], 0)
            if not came:
                continue
            later = came if straight else 0
            beyond = 0
            for key in reversed(keys):
                hits = moved.get(key, 0)
                looked = max(hits, later)
                if _MAP.search(self.texts[key]):
                    hits -= beyond
                later, beyond = max(later, moved.get(key, 0)), moved.get(key, 0)
                if not looked:
                    continue
                doubt = unsure is None or key in unsure
                for tag in self.tags.get(key, ()):
                    numbers = tally.setdefault(tag, [0, 0, 0, 0])
                    for at, happened in enumerate((hits > 0, looked > hits)):
                        numbers[at] += happened
                        numbers[at + 2] += happened and doubt


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
        mine = into.setdefault(tag, [0, 0, 0, 0])
        for at, number in enumerate(numbers):
            mine[at] += number
