"""Whatever bytes a kernel (or a snapshot) hands over, the decoders answer or say what they could not read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.xt import compat
from pktdiag.netfilter.xt.blob import MalformedTableError, Table
from pktdiag.netfilter.xt.ebt_blob import parse
from pktdiag.netfilter.xt.render import render_table

KINDS = ([("match", name, family) for name in sorted(compat.MATCHES) for family in (2, 10)]
         + [("target", name, family) for name in sorted(compat.TARGETS) for family in (2, 10)]
         + [("match", name, 7) for name in sorted(compat.BRIDGE_MATCHES)] + [("target", name, 7) for name in sorted(compat.BRIDGE_TARGETS)]
         + [("target", "mangle", 3)])


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 5), st.binary(max_size=64), st.integers(0, 2300), st.integers(0, 255))
def test_extensions(kind: tuple[str, str, int], rev: int, head: bytes, size: int, fill: int) -> None:
    what, name, family = kind
    blob = (head + bytes((fill,)) * size)[:max(size, 1)]
    found = compat.decode(what, name, rev, blob, family)
    if isinstance(found, Unknown):
        assert name in found.condition
    render = compat.render_match if what == "match" else compat.render_target
    assert name in render(name, rev, blob, family) or family == 7 or hasattr(found[0], "alias")


@pytest.mark.parametrize(("what", "name", "family"), KINDS)
def test_empty_blob(what: str, name: str, family: int) -> None:
    """Too short is said, not guessed; an extension without data has nothing to be short of."""
    for rev in range(5):
        found = compat.decode(what, name, rev, b"", family)
        assert isinstance(found, Unknown) or found[1] is None or found[1] in (0, "")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from((2, 10, 3)), st.binary(max_size=300), st.binary(max_size=600), st.integers(0, 2000))
def test_tables(family: int, info: bytes, entries: bytes, size: int) -> None:
    with contextlib.suppress(MalformedTableError):
        render_table(Table(family, info.ljust(84, b"\0"), entries.ljust(size, b"\0")))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=600))
def test_ebtables(info: bytes, entries: bytes) -> None:
    with contextlib.suppress(MalformedTableError):
        parse(info.ljust(120, b"\0"), entries.ljust(120, b"\0"))
