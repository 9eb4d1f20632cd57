"""The one place that makes untrusted text harmless.

Names of interfaces, processes, containers and chains, comments, log prefixes: whoever chose them may have put terminal
escapes, markup, or look-alike tricks into them (the kernel lets an interface name hold anything but ``/``, ``:`` and white
space: net/core/dev.c: dev_valid_name). Data keeps them raw; every renderer passes them through here.

Visible instead of active: ESC becomes ``\\x1b``, a right-to-left override ``\\u202e``, a byte that is no UTF-8 ``\\xff``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# Printable by category, yet drawn as nothing: Hangul fillers, Braille blank, Khmer inherent vowels, Mongolian selectors.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u17b4\u17b5\u180b\u180c\u180d\u180f\u034f")
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MOST_MARKS = 2
"""Combining marks allowed on one character: Vietnamese needs two, a pile that covers other lines needs more."""


def text(value: str) -> str:
    """One line of printable text that cannot move the cursor, change colours, hide, reorder or cover anything."""
    if value.isascii():
        if value.isprintable():
            return value
        return "".join(c if c.isprintable() else _escape(c) for c in value)
    import unicodedata

    out = []
    marks = _MOST_MARKS  # nothing to combine with at the start
    for c in value:
        if unicodedata.category(c) in ("Mn", "Me", "Mc"):
            marks += 1
            out.append(c if marks <= _MOST_MARKS and c not in _BLANK and not _selector(c) else _escape(c))
            continue
        marks = 0
        # isprintable() is false for controls, format characters (bidi, zero width, tags), surrogates, private use,
        # unassigned characters and every separator but the plain space.
        out.append(c if c.isprintable() and c not in _BLANK else _escape(c))
    return "".join(out)


def _selector(c: str) -> bool:
    """Variation selectors: invisible, and a way to smuggle bytes."""
    return "\ufe00" <= c <= "\ufe0f" or "\U000e0100" <= c <= "\U000e01ef"


def _escape(c: str) -> str:
    code = ord(c)
    if 0xDC80 <= code <= 0xDCFF:  # a byte kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return _SHORT.get(c) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def width(value: str) -> int:
    """Terminal columns of text that went through :func:`text`: East Asian wide characters take two, marks none."""
    if value.isascii():
        return len(value)
    import unicodedata

    return sum(0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in value)


def clip(value: str, columns: int) -> str:
    """Harmless text of at most ``columns`` columns; "…" where something was cut off."""
    shown = text(value)
    if width(shown) <= columns:
        return shown
    while shown and width(shown) > columns - 1:
        shown = shown[:-1]
    return shown + "…"


def markup(value: str) -> str:
    """For a string that ``rich`` will parse as markup. Print it with ``emoji=False``: ``:skull:`` cannot be escaped."""
    from rich.markup import escape

    return escape(text(value))


def dot(value: str) -> str:
    """A quoted graphviz string. Inside a label a backslash starts an escString and ``&`` an entity."""
    inner = text(value).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def mermaid(value: str) -> str:
    """A quoted mermaid label. Everything with a meaning to mermaid, its Markdown, its ``%%{directives}`` or HTML
    becomes a decimal entity ``#NN;``."""
    plain = " ._-/,+=@"
    inner = "".join(c if c.isalnum() or c in plain or ord(c) > 0xFF else f"#{ord(c)};" for c in text(value))
    return f'"{inner}"'


def json(document: Any) -> str:
    """A JSON document in ASCII, safe to print on a terminal. Values stay what they are: JSON has escapes of its own."""
    import json as encoder

    return encoder.dumps(document, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f")
