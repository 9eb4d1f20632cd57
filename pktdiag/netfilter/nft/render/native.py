"""A native rule read back into nft's language (nftables 1.0.6, src/netlink_delinearize.c)."""

from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.exprs.bitwise import AND, OR, Bitwise, RegisterOp, Shift
from pktdiag.netfilter.nft.exprs.byteorder import Byteorder
from pktdiag.netfilter.nft.exprs.cmp import EQ, SYMBOLS, Cmp
from pktdiag.netfilter.nft.exprs.immediate import ImmediateData
from pktdiag.netfilter.nft.exprs.payload import PayloadLoad
from pktdiag.netfilter.nft.exprs.range_ import Range
from pktdiag.netfilter.nft.render.context import Protocols, Statement
from pktdiag.netfilter.nft.render.parts import Part
from pktdiag.netfilter.nft.render.tree import Node
from pktdiag.netfilter.nft.render.userdata import comment
from pktdiag.netfilter.nft.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BASE_NAMES = ("ll", "nh", "th", "ih")


class Reader:
    """State of one rule."""

    def __init__(self, ns: NamespaceView, rule: Rule) -> None:
        self.ns, self.rule = ns, rule
        self.family = rule.family
        self.registers: dict[int, Node] = {}
        self.statements: list[Statement] = []
        self.protocols = Protocols(rule.family)

    def resolver(self, index: int) -> str | None:
        link = self.ns.link(index)
        return link.name if link else None

    # -- registers -------------------------------------------------------------------------------------------------
    def get(self, offset: int, size: int | None = None) -> Node:
        """What a register holds; several adjacent ones where ``size`` bytes need them (netlink_parse_concat_expr)."""
        node = self.registers.get(offset)
        if node is None:
            node = Node("leaf", "xinteger", (size or 4) * 8, 0)
            node.text = "[unknown register]"
            return node
        if size is None or node.size >= size:
            return node
        concat = Node("concat", "concat", 0, node.first)
        at = offset
        while at < offset + size and at in self.registers:
            part = self.registers[at]
            concat.parts.append(part)
            concat.bits += (part.size + 3 & ~3) * 8
            concat.first = min(concat.first, part.first)
            at += part.size + 3 & ~3
        return concat if len(concat.parts) > 1 else node

    def set(self, offset: int, node: Node) -> None:
        self.registers[offset] = node

    # -- statements -------------------------------------------------------------------------------------------------
    def add(self, text: str, at: int, first: int | None = None) -> Statement:
        """A statement that is no match: protocol tests in front of it stay."""
        statement = Statement(text, at if first is None else first, at)
        self.statements.append(statement)
        self.protocols.reset()
        return statement

    def complete(self, node: Node) -> Node:
        """Gives payload loads their field names and marks the tests they imply (expr_postprocess)."""
        if node.kind == "payload":
            self.name_payload(node)
            if node.more.get("header") is not None:
                header = node.more["header"]
                self.protocols.implied_by(header, node.more["field"], node.more["base"], self.statements)
        elif node.kind == "exthdr":
            base = {1: 2}.get(node.more["op"], 1)
            self.protocols.pending_remove(base, self.statements)
        for part in node.parts:
            self.complete(part)
        if node.left is not None:
            self.complete(node.left)
            if node.kind == "binop":
                node.dtype, node.host = node.left.dtype, node.left.host
        return node

    def name_payload(self, node: Node) -> None:
        if node.more.get("header") is not None:
            return
        base, offset = node.more["base"], node.more["offset"]
        found = self.protocols.describe(base, offset, node.bits)
        if found is not None:
            header, field = found
            node.more["header"], node.more["field"] = header, field
            node.text, node.dtype = f"{header.name} {field.name}", field.dtype
        elif base == 2 and node.bits == 16 and offset in (0, 16) and self.protocols.header[2] is None:
            node.text, node.dtype = f"th {'sport' if offset == 0 else 'dport'}", "inet_service"
        else:
            node.text, node.dtype = f"@{BASE_NAMES[base]},{offset},{node.bits}", "xinteger"

    # -- reading -------------------------------------------------------------------------------------------------
    def read(self, expressions: list[Expression]) -> None:
        for at, each in enumerate(expressions):
            handler = _HANDLERS.get(each.__class__)
            if handler is not None:
                handler(self, each, at)
            else:
                self.load_or_statement(each, at)

    def load_or_statement(self, each: Expression, at: int) -> None:
        from pktdiag.netfilter.nft.render import loads, statements

        node = loads.load(self, each, at)
        if node is not None:
            return
        statements.statement(self, each, at)


def _payload(reader: Reader, each: Any, at: int) -> None:
    if each.base > 3:
        raise ValueError("payload base")
    node = Node("payload", "xinteger", each.length * 8, at)
    node.more.update(base=each.base, offset=each.offset * 8)
    reader.set(each.dreg, node)


def _byteorder(reader: Reader, each: Any, at: int) -> None:
    node = reader.get(each.sreg)
    swapped = _copy(node)
    swapped.host = not each.hton
    reader.set(each.dreg, swapped)


def _copy(node: Node) -> Node:
    other = Node(node.kind, node.dtype, node.bits, node.first, node.host)
    other.text, other.op, other.left, other.right = node.text, node.op, node.left, node.right
    other.parts, other.more = node.parts, node.more
    return other


def _binop(left: Node, op: str, right: int) -> Node:
    node = Node("binop", left.dtype, left.bits, left.first, left.host)
    node.op, node.left, node.right = op, left, right
    return node


def _bitwise(reader: Reader, each: Any, at: int) -> None:
    """(reg & mask) ^ xor, split into the and, xor and or it was made from (netlink_parse_bitwise_mask_xor)."""
    from pktdiag.netfilter.nft.render.tree import number

    node = reader.get(each.sreg, each.length)
    mask, xor = number(each.mask, node.host), number(each.xor, node.host)
    full = (1 << each.length * 8) - 1
    ored = xor & ~mask
    mask |= ored
    xor &= ~ored
    if mask != full or (not xor and not ored):
        node = _binop(node, "&", mask)
    if xor:
        node = _binop(node, "^", xor)
    if ored:
        node = _binop(node, "|", ored)
    reader.set(each.dreg, node)


def _shift(reader: Reader, each: Any, at: int) -> None:
    reader.set(each.dreg, _binop(reader.get(each.sreg), "<<" if each.left else ">>", each.shift))


def _register_op(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.tree import number

    left = reader.get(each.sreg)
    node = _binop(left, "&" if each.op == AND else "|" if each.op == OR else "^", number(each.data, left.host))
    if each.sreg2 is not None:
        node.parts = [reader.get(each.sreg2)]
    reader.set(each.dreg, node)


def _cmp(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.relations import compare

    compare(reader, reader.get(each.sreg, len(each.data)), SYMBOLS[each.op], each.data, at, each.op == EQ)


def _range(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.relations import compare_range

    compare_range(reader, reader.get(each.sreg, len(each.low)), each.negated, each.low, each.high, at)


def _immediate(reader: Reader, each: Any, at: int) -> None:
    node = Node("value", "xinteger", len(each.data) * 8, at)
    node.more["data"] = each.data
    reader.set(each.dreg, node)


_HANDLERS: dict[type, Any] = {
    PayloadLoad: _payload, Byteorder: _byteorder, Bitwise: _bitwise, Shift: _shift, RegisterOp: _register_op, Cmp: _cmp,
    Range: _range, ImmediateData: _immediate,
}


def native_parts(ns: NamespaceView, rule: Rule, expressions: list[Expression]) -> list[Part]:
    """The rule's parts in nft syntax; ``comment "…"`` stands at the end."""
    reader = Reader(ns, rule)
    try:
        reader.read(expressions)
    except (LookupError, ValueError, TypeError, AttributeError):
        # not what nft or the kernel would make: better named than guessed
        return [Part(f"[{each.__class__.__name__.lower()}]", at, at) for at, each in enumerate(expressions)]
    parts = [Part(each.text, each.first, each.last) for each in reader.statements if each.text]
    text = comment(rule.userdata)
    if text is not None:
        last = len(expressions)
        parts.append(Part(f'comment "{text}"', last, last))
    return parts
