"""What the judge found once stays found: every shrunk host is built again and its last packet judged."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from . import judge

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    """All of them in one worker: a host takes a few hundredths of a second, a worker a second."""
    result: dict[str, Any] = judge.with_bench(judge.judge_regressions)
    return result


@pytest.mark.parametrize("name", [os.path.basename(path) for path in judge.regressions()])
def test_the_kernel_agrees(name: str, judged: dict[str, Any]) -> None:
    with open(os.path.join(judge.REGRESSIONS, name)) as file:
        needs = json.load(file).get("needs", ())
    if name not in judged:
        assert needs, f"{name} was not judged"  # what this kernel does not have; the second kernel judges it (test_vm)
        return
    assert judged[name] == [], f"scripts/judge --replay tests/kernel/regressions/{name}"
