"""The cheap NamedTuple behaves as typing's does."""

from __future__ import annotations

import pickle
import typing

import pytest

from pktdiag.model import record


class Cheap(record.NamedTuple):
    a: int
    b: str = "x"
    """A field's own words."""
    c: typing.Tuple[int, ...] = ()  # noqa: UP006

    @property
    def double(self) -> int:
        return self.a * 2


class Single(record.NamedTuple):
    only: int


class Real(typing.NamedTuple):
    a: int
    b: str = "x"
    c: typing.Tuple[int, ...] = ()  # noqa: UP006


def test_construction_and_access() -> None:
    for cls in (Cheap, Real):
        assert tuple(cls(1)) == (1, "x", ())
        assert tuple(cls(a=1, c=(2,))) == (1, "x", (2,))
        assert cls(1)._replace(b="y") == (1, "y", ())
        assert cls(1)._asdict() == {"a": 1, "b": "x", "c": ()}
        assert cls._make([1, 2, 3]) == (1, 2, 3)
        assert cls._fields == ("a", "b", "c")
        assert cls.__match_args__ == ("a", "b", "c")
        with pytest.raises(TypeError):
            cls()
        with pytest.raises((ValueError, TypeError)):  # typing's: TypeError since Python 3.13
            cls(1)._replace(nothing=1)
        with pytest.raises(AttributeError):
            cls(1).a = 2  # type: ignore[misc]
        with pytest.raises(TypeError):
            cls._make([1])
    assert Cheap(3).double == 6
    assert Single(5).only == 5 and Single(5) == (5,)
    assert repr(Cheap(1)) == "Cheap(a=1, b='x', c=())"


def test_it_survives_pickling_and_hashing() -> None:
    assert pickle.loads(pickle.dumps(Cheap(1, "z", (1, 2)))) == Cheap(1, "z", (1, 2))
    assert isinstance(pickle.loads(pickle.dumps(Cheap(1))), Cheap)
    assert len({Cheap(1), Cheap(1), Cheap(2)}) == 2


def test_matching() -> None:
    match Cheap(1, "b"):
        case Cheap(1, text):
            assert text == "b"
        case _:
            raise AssertionError
