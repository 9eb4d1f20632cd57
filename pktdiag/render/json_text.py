"""JSON out, without importing ``json`` (5 ms of start-up, most of it for reading)."""

from __future__ import annotations

from _json import encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def dumps(value: Any, indent: int = 2) -> str:
    """``json.dumps(value, indent=indent)`` for dicts with string keys, lists, tuples, strings, numbers, bools and None."""
    out: list[str] = []
    _write(value, out.append, "\n", " " * indent)
    return "".join(out)


def _write(value: Any, put: Any, newline: str, step: str) -> None:
    if isinstance(value, str):
        put(encode_basestring_ascii(value))
    elif value is None or value is True or value is False:
        put({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, (int, float)):
        put(repr(value))
    elif isinstance(value, dict):
        _group(((encode_basestring_ascii(str(key)) + ": ", item) for key, item in value.items()), len(value), "{}", put, newline, step)
    elif isinstance(value, (list, tuple, set, frozenset)):
        _group((("", item) for item in value), len(value), "[]", put, newline, step)
    elif isinstance(value, bytes):
        put(encode_basestring_ascii(value.hex()))
    else:
        put(encode_basestring_ascii(str(value)))


def _group(items: Any, count: int, brackets: str, put: Any, newline: str, step: str) -> None:
    if not count:
        put(brackets)
        return
    inner = newline + step
    put(brackets[0])
    for number, (head, item) in enumerate(items):
        put(("," if number else "") + inner + head)
        _write(item, put, inner, step)
    put(newline + brackets[1])
