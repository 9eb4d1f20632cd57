"""What the judge found once stays found: every shrunk host is built again and its last packet judged."""

from __future__ import annotations

import glob
import json
import os
from typing import Any

import pytest

from . import judge

pytestmark = pytest.mark.root

FILES = sorted(glob.glob(os.path.join(judge.REGRESSIONS, "*.json")))


def _judge_all(bench: judge.Bench) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in FILES:
        with open(path) as file:
            host = json.load(file)
        results, _ = bench.judged(host)
        last = len(host["packets"]) - 1
        found[os.path.basename(path)] = [
            [result.verdict, *mismatch] for result in results if result.packet == last for mismatch in result.mismatches]
        if not any(result.packet == last for result in results):
            found[os.path.basename(path)] = [["", "not judged", "the packet could not be sent"]]
    return found


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """All of them in one worker: a host takes a few hundredths of a second, a worker a second."""
    result: dict[str, Any] = judge.with_bench(_judge_all)
    return result


@pytest.mark.parametrize("name", [os.path.basename(path) for path in FILES])
def test_the_kernel_agrees(name: str, judged: dict[str, Any]) -> None:
    assert judged[name] == [], f"scripts/judge --replay tests/kernel/regressions/{name}"
