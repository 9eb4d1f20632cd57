"""The fixed part of the long run: the same seeds every time, no disagreement allowed."""

from __future__ import annotations

import pytest

from . import faults, judge

pytestmark = pytest.mark.root

CASES = 2500
SEEDS = (20261121,)
DEPENDS_BOUND = 0.02
QUICK_FAULTS = ("hook order swapped: the highest priority runs first", "br_netfilter ignored", "every neighbour is found",
                "destination NAT never rewrites the packet", "legacy tables are not looked at")
"""The others take longer: ``scripts/judge --self-test`` puts them all in."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_prediction_is_true(seed: int) -> None:
    summary = judge.run(CASES, seed, jobs=2, progress=False)
    summary.print()
    assert summary.cases >= CASES
    wrong = [f"{m['host']}:{m['packet']} {m['verdict']} {m['mismatches'][0][0]}: {m['mismatches'][0][1][:300]}" for m in summary.wrong]
    assert not wrong, "\n".join(wrong) + "\nscripts/judge --only HOST:PACKET --shrink reduces one"
    assert summary.depends_share < DEPENDS_BOUND
    assert summary.fleeting <= CASES // 50


def test_rules_of_real_programs() -> None:
    summary = judge.run(300, SEEDS[0], jobs=2, progress=False, program="any")
    assert summary.cases >= 300
    assert not [f"{m['host']}:{m['packet']} {m['verdict']} {m['mismatches'][0]}" for m in summary.wrong], "scripts/judge --program any --only HOST:PACKET"


@pytest.mark.parametrize("name", QUICK_FAULTS)
def test_a_fault_is_found(name: str) -> None:
    assert name in faults.FAULTS
    summary = judge.run(600, 7, jobs=2, progress=False, stop_at=1, fault=name)
    assert summary.wrong, f"{summary.cases} cases did not notice: {name}"


def test_faults_leave_no_trace() -> None:
    from pktdiag.walk import br_netfilter

    before = br_netfilter.calls
    with faults.applied("br_netfilter ignored"):
        assert br_netfilter.calls is not before
    assert br_netfilter.calls is before
    assert len(faults.FAULTS) >= 15
