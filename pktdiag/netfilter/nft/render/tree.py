"""What registers hold while a rule is read back: expressions as nft has them (src/expression.c), and how they are printed."""

from __future__ import annotations

from pktdiag.netfilter.nft.render.datatypes import BITMASKS, HOST_ORDER, STRINGS, format_end, format_flags, format_string, format_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    """An expression. ``kind``: "payload", "exthdr", "leaf", "value", "binop", "concat", "map"."""

    __slots__ = ("bits", "dtype", "first", "host", "kind", "left", "more", "op", "parts", "right", "text")

    def __init__(self, kind: str, dtype: str, bits: int, first: int, host: bool = False) -> None:
        self.kind, self.dtype, self.bits, self.first = kind, dtype, bits, first
        self.host = host
        """Values compared with it are in host byte order."""
        self.text = ""
        self.op = ""
        self.left: Node | None = None
        self.right = 0
        self.parts: list[Node] = []
        self.more: dict[str, Any] = {}

    @property
    def size(self) -> int:
        """Bytes it takes in registers."""
        return (self.bits + 7) // 8


def leaf(text: str, dtype: str, bits: int, first: int, host: bool | None = None) -> Node:
    node = Node("leaf", dtype, bits, first, dtype in HOST_ORDER if host is None else host)
    node.text = text
    return node


def number(data: bytes, host: bool) -> int:
    """Bytes of a register as the integer they stand for."""
    import sys

    return int.from_bytes(data, sys.byteorder if host else "big")


_PRECEDENCE = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4}


def show(node: Node, resolver: Any = None) -> str:
    """The expression's text."""
    if node.kind == "binop" and node.left is not None:
        left = show(node.left, resolver)
        if node.left.kind == "binop" and _PRECEDENCE[node.left.op] < _PRECEDENCE[node.op]:
            left = f"({left})"
        if node.op in ("<<", ">>"):
            return f"{left} {node.op} {node.right}"
        if node.parts:
            return f"{left} {node.op} {show(node.parts[0], resolver)}"
        return f"{left} {node.op} {operand(node.dtype, node.right, node.bits)}"
    if node.kind == "concat":
        return " . ".join(show(part, resolver) for part in node.parts)
    if node.kind == "map" and node.left is not None:
        return f"{show(node.left, resolver)} map {node.text}"
    return node.text


def operand(dtype: str, value: int, bits: int) -> str:
    """The right-hand side of a binop: several flags in parentheses."""
    if dtype in BITMASKS:
        flags = format_flags(dtype, value)
        if len(flags) > 1:
            return f"({' | '.join(flags)})"
        return flags[0] if flags else format_value(dtype, value, bits)
    return format_value(dtype, value, bits)


def constant(dtype: str, data: bytes, host: bool, bits: int, resolver: Any = None, *, end: bool = False) -> str:
    """A constant's text; ``resolver`` turns an interface index into its name or None. ``end``: of a range."""
    if dtype in STRINGS:
        return format_string(data)
    value = number(data, host)
    if dtype == "iface_index":
        name = resolver(value) if resolver else None
        return f'"{name}"' if name else str(value)
    if dtype == "ct_label":
        flags = format_flags(dtype, value)
        return ",".join(flags) if flags else "0"
    return format_end(dtype, value, bits) if end else format_value(dtype, value, bits)


def prefix_length(mask: int, bits: int) -> int | None:
    """Length of a mask of leading ones; None otherwise."""
    ones = mask.bit_count()
    return ones if mask == ((1 << ones) - 1) << (bits - ones) else None
