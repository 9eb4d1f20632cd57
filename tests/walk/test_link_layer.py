"""Devices, bridges, br_netfilter, ARP and neighbour discovery, each scenario judged by the kernel: sightings in order, receiver,
drop reason, counters, rules hit."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest

from .scenarios import SCENARIOS

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: builds network namespaces")


@pytest.fixture(scope="module")
def judged() -> dict[str, list[Any]]:
    """Every scenario, run once in one worker: [packet, verdict, how it really ended, mismatches]."""
    from tests.kernel.judge import with_bench

    def work(bench: Any) -> dict[str, list[Any]]:
        return {name: [[r.packet, r.verdict, r.end, [list(m) for m in r.mismatches]] for r in bench.judged(copy.deepcopy(host))[0]]
                for name, host in SCENARIOS.items()}

    return with_bench(work)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_kernel_agrees(judged: dict[str, list[Any]], name: str) -> None:
    results = judged[name]
    assert len(results) == len(SCENARIOS[name]["packets"]), "a packet could not be sent"
    wrong = [(packet, verdict, end, mismatches) for packet, verdict, end, mismatches in results if mismatches]
    assert not wrong
