from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.witness import keep_timestamps_on

pytest.register_assert_rewrite(f"{__package__}.lab")

from .lab import Lab  # noqa: E402  # what it asserts is to be explained


@pytest.fixture(scope="session", autouse=True)
def stamps() -> Iterator[None]:
    with keep_timestamps_on():
        yield


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    try:
        made.build()
        yield made
    finally:
        made.close()
