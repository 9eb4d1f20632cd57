"""Jumps, gotos, returns, verdict maps and policies: random rulesets, one packet each, and every counter that should move."""

from __future__ import annotations

import random

import pytest

from pktdiag.netfilter.nft.load import ruleset

from .conftest import Router
from .test_against_kernel import PACKETS

pytestmark = pytest.mark.root
MATCHES = ("", "ip ttl 1-255", "meta l4proto udp", "meta l4proto tcp", "th dport 53", "ip daddr 203.0.113.0/24", "iifname \"up0\"",
           "oifname \"down0\"", "ct state new", "meta mark 1", "meta mark 2", "ip saddr 10.0.0.1")
HOOKS = ("prerouting", "forward", "postrouting")


def make(draw: random.Random) -> tuple[str, list[tuple[str, str]]]:
    """A ruleset of a few tables, and its (table, chain) pairs."""
    text, chains = "", []
    for number in range(draw.randint(1, 3)):
        table, family = f"t{number}", draw.choice(("inet", "ip"))
        users = [f"u{at}" for at in range(draw.randint(1, 5))]
        body = "".join(f"  chain {name} {{ }}\n" for name in users)
        bases = []
        for at in range(draw.randint(1, 3)):
            policy = "drop" if draw.random() < 0.15 else "accept"
            bases.append(f"b{at}")
            body += (f"  chain b{at} {{ type filter hook {draw.choice(HOOKS)} priority {draw.randint(-50, 50)}; policy {policy}; }}\n")
        text += f"table {family} {table} {{\n{body}}}\n"
        for at, name in enumerate(users + bases):
            # only to chains further down the list: no loops
            deeper = users[at + 1 :] if name in users else users
            for _ in range(draw.randint(0, 5)):
                text += f"add rule {family} {table} {name} {draw.choice(MATCHES)} counter {verdict(draw, deeper)}\n"
            chains.append((table, name))
    return text, chains


def verdict(draw: random.Random, deeper: list[str]) -> str:
    kind = draw.random()
    if deeper and kind < 0.5:
        name = draw.choice(deeper)
        return draw.choice((f"jump {name}", f"goto {name}", f"meta l4proto vmap {{ udp : jump {name}, tcp : goto {name} }}",
                            f"ip ttl vmap {{ 0-10 : drop, 11-100 : jump {name} }}"))
    if kind < 0.6:
        return "return"
    if kind < 0.7:
        return f"meta mark set {draw.randint(1, 2)}"
    if kind < 0.78:
        return "accept"
    return "drop" if kind < 0.8 else ""


@pytest.mark.parametrize("seed", range(40))
def test_random_rulesets(router: Router, seed: int) -> None:
    draw = random.Random(seed)
    router.nft("flush ruleset")
    text, _ = make(draw)
    assert not router.nft(text), text
    router.run("conntrack", "-F", check=False)
    packet = PACKETS[draw.choice(("udp", "syn"))]
    here, found = router.view().id, router.asked(packet)
    assert not found.request.outcomes, text
    hits = {(hit.table, hit.chain, hit.index) for hit in found.request.rules_hit if hit.index and hit.netns == here}
    router.sent(packet)
    view = router.view()
    moved = set()
    for table in ruleset(view).tables():
        for chain in {name for name in text.split() if name[0] in "ub" and name[1:].isdigit()}:
            for rule in ruleset(view).rules(table.family, table.name, chain):
                if rule.ref(view).packets:
                    moved.add((table.name, chain, rule.index))
    assert moved == hits, text
