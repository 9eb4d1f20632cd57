"""The cheap half of ``scripts/bench``, with room for a busy machine: growth is caught here, milliseconds there."""

from __future__ import annotations

import pytest

from tests.bench.main import help_, kube, nft_set

MERCY = 2


def test_help_costs_no_more_than_its_parser() -> None:
    assert [row for row in help_() if row.value > row.bound * MERCY] == []


@pytest.mark.root
def test_a_large_set_costs_what_an_empty_one_does() -> None:
    assert [row for row in nft_set() if row.value > row.bound * MERCY] == []


@pytest.mark.root
@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_twenty_thousand_rules(backend: str) -> None:
    assert [row for row in kube(backend) if row.value > row.bound * MERCY] == []
