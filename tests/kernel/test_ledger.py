"""The sums of many runs: what is missing is said first, and two judges may write to one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import every, ledger
from .unreached import UNREACHED


def run(kernel: str, kinds: dict[str, list[int]], refused: dict[str, str] | None = None) -> dict[str, Any]:
    return {"run": {"kernel": kernel, "seed": 1, "cases": 10, "wrong": 0, "not reproduced": 0}, "kinds": kinds, "refused": refused or {}}


def test_runs_add_up(tmp_path: Path) -> None:
    path = str(tmp_path / "sums.json")
    ledger.add(path, run("6.18", {"drop": [1, 0, 0, 0]}))
    ledger.add(path, run("6.1", {"drop": [0, 2, 0, 1], "queue": [1, 1, 0, 0]}))
    kept = ledger.add(path, None)
    assert ledger.union(kept) == {"drop": [1, 2, 0, 1], "queue": [1, 1, 0, 0]}
    assert [each["kernel"] for each in kept["runs"]] == ["6.18", "6.1"]
    assert ledger.add("", run("6.18", {"drop": [5, 5, 0, 0]}))["kinds"] == {"6.18": {"drop": [5, 5, 0, 0]}}, "without a file: the run alone"


def test_each_kind_stands_under_what_it_lacks_first() -> None:
    found = ledger.groups({"a": [0, 3, 0, 0], "b": [3, 0, 3, 0], "c": [2, 2, 2, 0], "d": [2, 2, 1, 2], "e": [2, 2, 1, 1]},
                          {"a", "b", "c", "d", "e", "f"})
    assert list(found.values()) == [["f"], ["a"], ["b"], ["c"], ["d"], ["e"]]


def test_what_is_missing_comes_first_with_its_reason(tmp_path: Path) -> None:
    kept = ledger.add(str(tmp_path / "sums.json"), run("6.18", {"cmp ==": [4, 4, 0, 0], "802_3": [0, 4, 0, 0]}, {"queue": "no such thing"}))
    lines = ledger.report(kept).splitlines()
    kinds = every.kinds_of_rules(unknowable=True)
    assert lines[0].startswith(f"{len(kinds)} kinds of rules: 1 both ways, {len(kinds) - 1} not, of those ")
    by_name = {line.split("  ")[1]: number for number, line in enumerate(lines) if line.startswith("  ") and len(line.split("  ")) > 1}
    assert "no such thing" in lines[by_name["queue"]]
    assert UNREACHED["802_3"] in lines[by_name["802_3"]]
    assert by_name["queue"] < by_name["802_3"] < by_name["cmp =="]


def test_reasons_are_given_for_kinds_that_there_are() -> None:
    assert not set(UNREACHED) - every.kinds_of_rules(unknowable=True)
