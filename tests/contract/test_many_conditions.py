"""More conditions than can be combined: each has its turn, and nothing is told as sure that was not followed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pktdiag.walk.explore import MAX_REPLAYS, Chooser, explore

from .lab import Lab

root = pytest.mark.root
MARK = "nft add rule ip t c numgen random mod 2 0 counter meta mark set 1"


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab("many")
    try:
        made.pair()
        made.sh("dst", "nft add table ip t; nft 'add chain ip t c { type filter hook input priority 0; }'")
        made.listen("dst", "udp", "0.0.0.0", 6999)
        yield made
    finally:
        made.close()


def test_each_condition_is_turned_before_any_two_are() -> None:
    tried: list[tuple[bool, ...]] = []

    def run(choose: Chooser) -> None:
        tried.append(tuple(choose(f"condition {number}") for number in range(20)))

    done, complete = explore(run)
    assert len(done) == len(tried) == len(set(tried)) == MAX_REPLAYS and not complete
    assert {answers.count(False) for answers in tried[:21]} == {0, 1} and {answers.count(False) for answers in tried[21:]} == {2}


def test_few_are_combined_in_full() -> None:
    tried: set[tuple[bool, ...]] = set()
    _, complete = explore(lambda choose: tried.add(tuple(choose(f"condition {number}") for number in range(5))))
    assert complete and len(tried) == 32


@root
def test_what_changes_nothing_is_still_not_sure(lab: Lab) -> None:
    """Nine draws of a mark that nobody reads: every combination that was followed is delivered, which the kernel does, too."""
    lab.sh("dst", "; ".join([MARK] * 9))
    answer = lab.ask("src", "198.51.100.2:6999/udp")
    assert answer["verdict"] == "depends"
    (outcome,) = answer["request"]["outcomes"]
    assert outcome["verdict"] == "delivered" and f"beyond the {MAX_REPLAYS} that were followed" in outcome["condition"]
    assert lab.send({"how": "socket", "ns": "src", "src": "", "dst": "198.51.100.2", "sport": 4000, "dport": 6999, "proto": "udp"}).receivers


@root
def test_the_first_of_many_conditions_is_followed(lab: Lab) -> None:
    """Told apart only by the answer that stands furthest from the last."""
    lab.sh("dst", "; ".join(["nft add rule ip t c numgen random mod 2 0 counter drop"] + [MARK] * 12))
    answer = lab.ask("src", "198.51.100.2:6999/udp")
    assert {outcome["verdict"] for outcome in answer["request"]["outcomes"]} == {"dropped", "delivered"}
    lab.sh("dst", "nft flush chain ip t c; " + "; ".join(["nft add rule ip t c numgen random mod 2 1 counter accept"] + [MARK] * 12)
           + "; nft add rule ip t c drop")
    answer = lab.ask("src", "198.51.100.2:6999/udp")
    assert {outcome["verdict"] for outcome in answer["request"]["outcomes"]} == {"dropped", "delivered"}
