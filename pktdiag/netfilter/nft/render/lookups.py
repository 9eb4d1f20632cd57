"""Lookups in sets and maps, and set updates from the packet path."""

from __future__ import annotations

from pktdiag.netfilter.nft.exprs import decode
from pktdiag.netfilter.nft.render.context import Statement
from pktdiag.netfilter.nft.render.set_text import data_fields, set_text
from pktdiag.netfilter.nft.render.tree import Node, constant, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pktdiag.netfilter.nft.render.native import Reader


def _set(reader: Reader, name: str) -> Any:
    from pktdiag.netfilter.nft.load import ruleset

    return ruleset(reader.ns).sets(reader.family).get(reader.rule.table, name)


def _key(reader: Reader, name: str, offset: int) -> Node:
    found = _set(reader, name)
    node = reader.get(offset, found.key_length if found is not None else None)
    if node.kind == "concat":
        node.parts = [_bit_field(reader, part) for part in node.parts]
    return reader.complete(_bit_field(reader, node))


def _bit_field(reader: Reader, node: Node) -> Node:
    """A masked load as the field it stands for."""
    if node.kind == "binop" and node.op == "&" and node.left is not None and node.left.kind in ("payload", "exthdr"):
        from pktdiag.netfilter.nft.render.relations import trimmed

        return trimmed(reader, node) or node
    return node


def lookup(reader: Reader, each: Any, at: int) -> None:
    node = _key(reader, each.set_name, each.sreg)
    text = set_text(reader, each.set_name, node)
    shown = show(node, reader.resolver)
    if each.dreg is None:
        sign = " != " if each.inverted else " == " if node.kind == "binop" else " "
        statement = Statement(f"{shown}{sign}{text}", node.first, at, True)
        statement.left = node
        reader.statements.append(statement)
        return
    if each.dreg == 0:
        reader.add(f"{shown} vmap {text}", at, node.first)
        return
    found = _set(reader, each.set_name)
    data = Node("map", "integer", (found.info.data_length if found else 4) * 8, node.first)
    data.left, data.text = node, text
    if found is not None:
        fields = data_fields(found.info)
        if len(fields) == 1:
            data.dtype, data.host = fields[0].dtype, fields[0].host
    reader.set(each.dreg, data)


def object_map(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.statements import object_kind

    node = _key(reader, each.set_name, each.sreg)
    found = _set(reader, each.set_name)
    kind = object_kind(found.info.object_type) if found is not None else "[object]"
    verb = "name" if not kind.startswith("ct ") else "set"
    reader.add(f"{kind} {verb} {show(node, reader.resolver)} map {set_text(reader, each.set_name, node)}", at, node.first)


def dynset(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render import statements
    from pktdiag.netfilter.nft.render.datatypes import duration

    node = _key(reader, each.set_name, each.sreg_key)
    inside = show(node, reader.resolver)
    if each.timeout:
        inside += f" timeout {duration(each.timeout)}"
    for raw in each.raw_expressions:
        expression = decode(raw)
        inside += " " + _stateful(expression, statements)
    if each.sreg_data is not None:
        found = _set(reader, each.set_name)
        data = reader.get(each.sreg_data, found.info.data_length if found else None)
        if data.kind == "value":
            fields = data_fields(found.info)
            shown = constant(fields[0].dtype, data.more["data"], fields[0].host, fields[0].size * 8, reader.resolver)
        else:
            shown = show(reader.complete(data), reader.resolver)
        inside += f" : {shown}"
    verb = {0: "add", 1: "update", 2: "delete"}.get(each.op, "add")
    reader.add(f"{verb} @{each.set_name} {{ {inside} }}", at, node.first)


def _stateful(expression: Any, statements: Any) -> str:
    name = expression.__class__.__name__
    if name == "Counter":
        return "counter" if not (expression.packets or expression.bytes) else (
            f"counter packets {expression.packets} bytes {expression.bytes}")
    maker = statements._SIMPLE.get(name)
    return str(maker(expression)) if maker is not None else f"[{name.lower()}]"
