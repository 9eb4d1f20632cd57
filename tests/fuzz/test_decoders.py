"""Every decoder on bytes that hypothesis thinks of, shaped like attributes or not at all."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pktdiag.collect.asking import Asking
from pktdiag.model.view import Unreadable

from .decoders import DECODERS


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


values = st.recursive(st.one_of(st.binary(max_size=24), st.integers(0, 0xFFFFFFFF).map(lambda n: n.to_bytes(4, "big"))),
                      lambda inner: st.lists(st.tuples(st.integers(0, 30), inner), max_size=5).map(
                          lambda pairs: b"".join(_attribute(*pair) for pair in pairs)), max_leaves=12)
messages = st.one_of(st.binary(max_size=400), st.tuples(st.binary(max_size=16), values).map(b"".join))


@pytest.mark.parametrize("name", DECODERS)
def test_any_bytes(name: str) -> None:
    calls = 0

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(messages)
    def run(raw: bytes) -> None:
        nonlocal calls
        DECODERS[name](raw)
        calls += 1

    run()
    assert calls >= 200


@pytest.mark.parametrize("error", [struct.error("short"), KeyError(3), IndexError("end"), ValueError("odd")])
def test_what_a_decoder_cannot_read_is_a_named_gap(error: Exception) -> None:
    noted: list[object] = []

    class Host:
        def note_gap(self, gap: object) -> None:
            noted.append(gap)

    class Reader(Asking):
        id = "net:[1]"  # type: ignore[assignment]

        def __init__(self) -> None:
            super().__init__()
            self.host = Host()  # type: ignore[assignment]

    def read() -> int:
        raise error

    with pytest.raises(Unreadable) as caught:
        Reader().ask(("links",), "links", read)
    assert "could not be understood" in caught.value.gap.why
    assert noted == [caught.value.gap]
