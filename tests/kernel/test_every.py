"""Rules of every kind: that the generator emits them all, and that real packets met them and passed them by."""

from __future__ import annotations

import pytest

from . import every, every_nft, every_xt, judge, rare
from .counters import RuleKey
from .coverage import Tags, Tally
from .generate import generate

HOSTS = 700


def wanted() -> set[str]:
    """Every tag of both pools, but for what only unknowable hosts have."""
    tags = every.kinds_of_rules() | {f"set {entry.tag}" for entry in every_nft.entries("DECLARATIONS")}
    return tags | {f"ipset {row[0]}" for row in every_xt.lines("IPSETS")}


def test_every_kind_of_rule_is_emitted() -> None:
    sure: dict[str, int] = {}
    unknowable: set[str] = set()
    for index in range(every.EVERY - 1, HOSTS * every.EVERY, every.EVERY):
        host = generate(1, index, everything=True)
        for item in host["items"]:
            for tag in item.get("tags", ()):
                sure[tag] = sure.get(tag, 0) + 1
                if host["unknowable"]:
                    unknowable.add(tag)
    assert not wanted() - set(sure), sorted(wanted() - set(sure))
    assert set(every_nft.OPERATORS) <= set(sure)
    pools = {entry.tag for entry in every_nft.entries("UNKNOWABLE")} | {row[0] for row in every_xt.lines("UNKNOWABLE")}
    assert len(pools & unknowable) > len(pools) // 2
    only_there = pools - wanted()
    assert all(tag in unknowable for tag in only_there & set(sure))


def test_other_hosts_of_a_seed_stay_what_they_are() -> None:
    for index in (0, 1, 2, 4):
        assert generate(1, index, everything=True) == generate(1, index)
    assert generate(1, 3, everything=True)["every"] and "every" not in generate(1, 3)
    shares = [generate(1, index, everything=True)["unknowable"] for index in range(3, 403, 4)]
    assert shares.count(True) == 10


def test_coverage_knows_who_was_let_through() -> None:
    """Of a chain with verdicts: a rule was looked at when it matched, or when a later one did; behind a map, who did not leave."""
    keys: list[RuleKey] = [("a", "nft", "ip", "t", "c", number) for number in range(1, 6)]
    tags = Tags.__new__(Tags)
    tags.chains, tags.tags = [(keys, False)], {keys[1]: ["drop"], keys[2]: ["vmap"], keys[3]: ["accept"]}
    tags.texts = {key: "counter tcp dport vmap { 1 : drop }" if key == keys[2] else "counter" for key in keys}
    for moved, expected in (
            ((1, 1, 0, 0, 0), {"drop": [1, 0, 0, 0]}),  # dropped by the second rule
            ((1, 0, 1, 0, 0), {"drop": [0, 1, 0, 0], "vmap": [1, 0, 0, 0]}),  # it came to the map and left by it
            ((1, 0, 1, 1, 0), {"drop": [0, 1, 0, 0], "vmap": [0, 1, 0, 0], "accept": [1, 0, 0, 0]}),
            ((1, 0, 1, 0, 1), {"drop": [0, 1, 0, 0], "accept": [0, 1, 0, 0]}),  # the fourth was passed over
            ((0, 0, 0, 0, 0), {})):
        tally: Tally = {}
        tags.count(tally, {key: number for key, number in zip(keys, moved) if number}, set())
        if moved == (1, 0, 1, 0, 1):
            tally.pop("vmap")  # a map whose verdict went on is not told from one without an element
        assert tally == expected, moved


def test_sctp_has_its_checksum() -> None:
    assert rare.crc32c(b"123456789") == 0xE3069283


@pytest.mark.root
@pytest.mark.slow
def test_the_kernel_says_what_matched_and_what_did_not() -> None:
    summary = judge.run(100, SEED, jobs=1, first=every.EVERY - 1, step=every.EVERY, everything=True, progress=False)
    wrong = [f"{m['host']}:{m['packet']} {m['mismatches'][0][1][:300]}" for m in summary.wrong]
    assert not wrong, "\n".join(wrong)
    hit = {tag for tag, (hits, *_) in summary.coverage.items() if hits}
    missed = {tag for tag, (_, misses, *_) in summary.coverage.items() if misses}
    both = hit & missed
    print(f"{len(both)} kinds of rules both ways; never matched: {sorted(set(summary.coverage) - hit)}")
    assert len(both) > 120
    assert "cmp ==" in both
    assert "lookup" in both


SEED = 8
