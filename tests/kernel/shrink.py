"""Reduces a disagreement to the smallest host and the fewest packets that still disagree (delta debugging)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from .host import Host

Check = Callable[[Host], bool]


def shrink(host: Host, packet: int, check: Check) -> Host:
    """The smallest description found for which ``check`` still holds. ``packet``: the one that disagreed; it stays, last."""
    best = copy.deepcopy(host)
    best["packets"] = best["packets"][:packet + 1]
    last = best["packets"].pop()

    def with_packets(packets: list[Any]) -> Host:
        return {**best, "packets": [*packets, last]}

    packets = _minimise(best["packets"], lambda kept: check(copy.deepcopy(with_packets(kept))))
    best = with_packets(packets)
    # Rules first: what they hang on can go only once they are gone.
    for kinds in (("nft", "xt", "ipset"), ("listen", "sysctl", "bridge"), ("ip",), ("nft", "xt"), ("netns", "ip")):
        chosen = [item for item in best["items"] if item["do"] in kinds]

        def check_items(kept: list[Any], chosen: list[Any] = chosen, best: Host = best) -> bool:
            gone = {id(item) for item in chosen} - {id(item) for item in kept}
            return check(copy.deepcopy({**best, "items": [item for item in best["items"] if id(item) not in gone]}))

        kept = _minimise(chosen, check_items)
        gone = {id(item) for item in chosen} - {id(item) for item in kept}
        best = {**best, "items": [item for item in best["items"] if id(item) not in gone]}
    return _simplify_packet(best, check)


def _minimise(items: list[Any], check: Callable[[list[Any]], bool]) -> list[Any]:
    """Zeller's ddmin, removing ever smaller chunks, last ones first."""
    if items and check([]):
        return []
    size = max(1, len(items) // 2)
    while items:
        removed = False
        start = len(items)
        while start > 0:
            candidate = items[:max(0, start - size)] + items[start:]
            if len(candidate) < len(items) and check(candidate):
                items, removed = candidate, True
            start -= size
        if size == 1 and not removed:
            break
        size = size if removed and size == 1 else max(1, size // 2)
    return items


def _simplify_packet(host: Host, check: Check) -> Host:
    for key in ("mark", "tos", "size", "df", "ttl", "dev", "smac", "answer", "icmp", "src"):
        packet = host["packets"][-1]
        if key not in packet or (key == "dev" and packet["how"] == "frame") or (key == "src" and packet["how"] != "socket"):
            continue
        slim = {k: v for k, v in packet.items() if k != key}
        slim.setdefault("src", "")
        candidate = {**host, "packets": [*host["packets"][:-1], slim]}
        if slim != packet and check(copy.deepcopy(candidate)):
            host = candidate
    return host
