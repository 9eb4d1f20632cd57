"""Whatever a name holds, what is printed cannot act: a line of printable characters, quoted for where it goes."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktdiag.render import safe

ANY = st.text(st.characters(), max_size=40)  # surrogates too: bytes that were no UTF-8


@pytest.mark.parametrize(("raw", "shown"), [
    ("eth0", "eth0"), ("größe-日本", "größe-日本"), ("a\x1b[31m", r"a\x1b[31m"), ("\x9b2J", r"\x9b2J"),
    ("a\nb\tc\r", r"a\nb\tc\r"), ("\u202egnp.exe", r"\u202egnp.exe"), ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
    ("\udcff", r"\xff"), ("\U000e0041", r"\U000e0041"), ("\x7f", r"\x7f"), ("\u2028", r"\u2028"), ("a\u00a0b", r"a\xa0b"),
    ("\u3164", r"\u3164"), ("e\u0301", "e\u0301"), ("x" + "\u0335" * 4, "x\u0335\u0335" + r"\u0335\u0335"),
    ("\u0301x", r"\u0301x"), ("a\ufe0f", r"a\ufe0f"),
])
def test_what_is_dangerous_becomes_visible(raw: str, shown: str) -> None:
    assert safe.text(raw) == shown


@given(ANY)
def test_no_text_can_act_on_a_terminal(raw: str) -> None:
    shown = safe.text(raw)
    assert shown.isprintable()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in shown)
    assert safe.text(shown) == shown
    shown.encode("utf-8")


@given(ANY, st.integers(2, 20))
def test_clipped_text_fits(raw: str, columns: int) -> None:
    assert safe.width(safe.clip(raw, columns)) <= columns


@given(ANY)
def test_rich_markup_prints_as_it_stands(raw: str) -> None:
    from rich.text import Text

    # With markup behind it: a backslash at the end must not swallow that.
    assert Text.from_markup(safe.markup(raw) + "[bold]!", emoji=False).plain == safe.text(raw) + "!"


@given(ANY)
def test_mermaid_labels_hold_nothing_but_text(raw: str) -> None:
    inner = safe.mermaid(raw)[1:-1]
    assert not set(inner) & set("\"'`<>[]{}()|%\\&\n\x1b:!$^?")


@given(ANY)
def test_dot_strings_end_where_they_should(raw: str) -> None:
    quoted = safe.dot(raw)
    inner = quoted[1:-1].replace("\\\\", "")
    assert quoted[0] == quoted[-1] == '"' and '"' not in inner.replace('\\"', "") and not inner.endswith("\\")


@given(ANY)
def test_json_is_ascii_and_keeps_the_value(raw: str) -> None:
    document = safe.json({"name": raw})
    assert all(c == "\n" or " " <= c <= "~" for c in document) and json.loads(document) == {"name": raw}
