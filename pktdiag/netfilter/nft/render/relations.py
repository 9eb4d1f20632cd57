"""Matches: ``LEFT OP RIGHT`` with masks, prefixes, flags and ranges as nft writes them (nftables src/netlink_delinearize.c:
payload_match_expand, relational_binop_postprocess, expr_postprocess_range)."""

from __future__ import annotations

import sys

from pktdiag.netfilter.nft.render.context import Statement
from pktdiag.netfilter.nft.render.datatypes import BITMASKS, PREFIXED, STRINGS, format_end, format_flags, format_value
from pktdiag.netfilter.nft.render.headers import HEADERS, LL, Field, Header
from pktdiag.netfilter.nft.render.tree import Node, constant, number, prefix_length, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.netfilter.nft.render.native import Reader


def compare(reader: Reader, left: Node, op: str, data: bytes, at: int, equal: bool) -> None:
    """A cmp expression."""
    if left.kind == "payload" and op in ("==", "!="):
        _payload_match(reader, left, op, data, at)
        return
    if left.kind == "binop" and left.op == "&" and not left.parts and left.left is not None:
        _masked(reader, left, op, data, at)
        return
    reader.complete(left)
    if left.kind == "concat":
        _concat(reader, left, op, data, at)
        return
    _plain(reader, left, op, data, at)


def _relation(reader: Reader, left: Node, op: str, right: str, at: int, value: int | None, *, learn: bool = True) -> Statement:
    """Appends the statement; an equality tells of the protocols inside."""
    sign = f" {op} " if op not in ("", "==") or (_spelled(left, right) and op == "==") else " "
    statement = Statement(f"{show(left, reader.resolver)}{sign}{right}", left.first, at, True)
    statement.left, statement.op, statement.value = left, op, value
    key = left.more.get("key") if left.kind == "leaf" else None
    if op == "==" and value is not None and learn:
        if key is not None:
            reader.protocols.meta_implies(key, value, reader.statements)
        reader.protocols.learn(left, value)
    reader.statements.append(statement)
    if op == "==" and value is not None:
        _remember(reader, left, statement)
    return statement


def _remember(reader: Reader, left: Node, statement: Statement) -> None:
    """Tests that name the protocol of the next layer may be implied by what follows."""
    base = {"nfproto": 0, "protocol": 0, "l4proto": 1, "iiftype": -1}.get(left.more.get("key", ""))
    if base is not None and left.kind == "leaf":
        reader.protocols.store(statement, base)
        return
    header, field = left.more.get("header"), left.more.get("field")
    if header is None or field is None:
        return
    if header.name in ("icmp", "icmpv6") and field.name == "type":
        if statement.value in ((0, 8) if header.name == "icmp" else (128, 129)):
            return
        reader.protocols.store(statement, left.more["base"] - 1)
    elif field.name == header.key:
        stacked = header.base == LL and header.upper.get(statement.value or 0) == "vlan"
        reader.protocols.store(statement, left.more["base"] - stacked)


def _spelled(left: Node, right: str) -> bool:
    """must_print_eq_op: flags compared whole, and computed left sides."""
    return left.kind == "binop" or left.dtype in BITMASKS


def _plain(reader: Reader, left: Node, op: str, data: bytes, at: int) -> None:
    if left.dtype in STRINGS:
        right = constant(left.dtype, data, left.host, left.bits)
        _relation(reader, left, op, right, at, None)
        return
    if left.dtype in PREFIXED and not left.host and len(data) < left.size:
        # a prefix on a byte boundary is compared byte by byte, without a mask
        text = format_value(left.dtype, number(data.ljust(left.size, b"\0"), False), left.bits)
        _relation(reader, left, op, f"{text}/{len(data) * 8}", at, None)
        return
    value = number(data, left.host)
    right = constant(left.dtype, data, left.host, left.bits, reader.resolver)
    statement = _relation(reader, left, op, right, at, value)
    statement.key, statement.low = show(left, reader.resolver), right
    _merge_range(reader, statement)


def _merge_range(reader: Reader, statement: Statement) -> None:
    """``x >= a x <= b`` is printed as ``x a-b``, ``x < a x > b`` as ``x != a-b``."""
    if len(reader.statements) < 2:
        return
    before = reader.statements[-2]
    if not before.match or before.key != statement.key or not before.key:
        return
    pair = before.op, statement.op
    if pair not in ((">=", "<="), ("<", ">")):
        return
    sign = " != " if pair == ("<", ">") else " "
    if isinstance(before.value, int) and isinstance(statement.value, int) and statement.left is not None:
        kind, bits = statement.left.dtype, statement.left.bits
        before.low, statement.low = (format_end(kind, each.value, bits) for each in (before, statement))  # type: ignore[arg-type]
    merged = Statement(f"{statement.key}{sign}{before.low}-{statement.low}", before.first, statement.last, True)
    del reader.statements[-2:]
    reader.statements.append(merged)


def _concat(reader: Reader, left: Node, op: str, data: bytes, at: int) -> None:
    texts, offset = [], 0
    for part in left.parts:
        texts.append(constant(part.dtype, data[offset : offset + part.size], part.host, part.bits, reader.resolver))
        offset += part.size + 3 & ~3
    _relation(reader, left, op, " . ".join(texts), at, None)


# -- payload ---------------------------------------------------------------------------------------------------------
def _payload_match(reader: Reader, left: Node, op: str, data: bytes, at: int) -> None:
    """payload_match_expand: one load may hold several adjacent fields, or the first bytes of one."""
    base, offset, bits = left.more["base"], left.more["offset"], len(data) * 8
    value = number(data, False)
    first = True
    while bits > 0:
        found = _field_at(reader, base, offset, bits)
        take = min(found[1].bits, bits) if found is not None else bits
        node = Node("payload", "xinteger", take, left.first if first else at)
        node.more.update(base=base, offset=offset)
        piece = value >> bits - take & (1 << take) - 1
        if found is not None:
            header, field = found
            node.more.update(header=header, field=field)
            node.text, node.dtype = f"{header.name} {field.name}", field.dtype
            reader.protocols.implied_by(header, field, base, reader.statements)
            right = format_value(field.dtype, piece << field.bits - take, field.bits)
            if take < field.bits:
                right = f"{right}/{take}" if field.dtype in PREFIXED else right
        else:
            node.more["header"] = None
            reader.name_payload(node)
            right = format_value(node.dtype, piece, take)
        _relation(reader, node, op, right, at, piece if found is None or take == found[1].bits else None)
        bits, offset, first = bits - take, offset + take, False


def _field_at(reader: Reader, base: int, offset: int, bits: int) -> tuple[Header, Field] | None:
    """The field that starts at a place and fits, or of which ``bits`` are the beginning."""
    protocols = reader.protocols
    exact = protocols.describe(base, offset, bits)
    if exact is not None:
        return exact
    name = protocols.header.get(base)
    if name is None:
        return None
    header, at = HEADERS[name], offset
    if base == LL and offset >= 112 and protocols.stacked:
        header, at = HEADERS["vlan"], (offset - 112) % 32
    for field in header.fields:
        if field.offset == at and (field.bits <= bits or field.dtype in PREFIXED):
            return header, field
    return None


# -- masks -----------------------------------------------------------------------------------------------------------
def _masked(reader: Reader, binop: Node, op: str, data: bytes, at: int) -> None:
    """relational_binop_postprocess."""
    inner = binop.left
    assert inner is not None
    trimmed = _trim(reader, inner, binop.right, len(data) * 8) if inner.kind in ("payload", "exthdr") else None
    if trimmed is None:
        reader.complete(binop)
    value = number(data, binop.host)
    if trimmed is not None:
        node, shift = trimmed
        if inner.kind == "payload":
            header, field = node.more["header"], node.more["field"]
            reader.protocols.implied_by(header, field, node.more["base"], reader.statements)
        else:
            reader.complete(node)
        piece = value >> shift
        right = format_value(node.dtype, piece, node.bits)
        statement = _relation(reader, node, op, right, at, piece)
        statement.key, statement.low = show(node, reader.resolver), right
        _merge_range(reader, statement)
        return
    dtype, mask = inner.dtype, binop.right
    if inner.dtype in STRINGS:
        _relation(reader, inner, op, _wildcard(data, mask, inner), at, None)
        return
    if dtype in BITMASKS and op in ("==", "!="):
        names = ",".join(format_flags(dtype, mask)) or "0x0"
        if value == 0:
            statement = Statement(f"{show(inner)} {'! ' if op == '==' else ''}{names}", inner.first, at, True)
        else:
            flags = ",".join(format_flags(dtype, value))
            statement = Statement(f"{show(inner)} {'!= ' if op == '!=' else ''}{flags} / {names}", inner.first, at, True)
        reader.statements.append(statement)
        return
    length = prefix_length(mask, len(data) * 8)
    if dtype in PREFIXED and length is not None:
        _relation(reader, inner, op, f"{format_value(dtype, value, binop.bits)}/{length}", at, None)
        return
    _relation(reader, binop, op, format_value(dtype, value, binop.bits), at, None)


def _wildcard(data: bytes, mask: int, inner: Node) -> str:
    return constant(inner.dtype, data.rstrip(b"\0"), inner.host, inner.bits)


def _trim(reader: Reader, inner: Node, mask: int, bits: int) -> tuple[Node, int] | None:
    """payload_expr_trim: a mask that only cuts a bit field out of its byte is not printed. (field, shift of the value)"""
    if not mask:
        return None
    shift = (mask & -mask).bit_length() - 1
    length = mask.bit_length() - shift
    if mask >> shift != (1 << length) - 1 or length == bits:
        return None
    start = inner.more["offset"] + bits - mask.bit_length()
    if inner.kind == "payload":
        found = reader.protocols.describe(inner.more["base"], start, length)
        if found is None:
            return None
        header, field = found
        node = Node("payload", field.dtype, field.bits, inner.first)
        node.more.update(base=inner.more["base"], offset=start, header=header, field=field)
        node.text = f"{header.name} {field.name}"
        return node, shift
    for option in inner.more["fields"]:
        if option.offset == start and option.bits == length:
            node = Node("exthdr", option.dtype, option.bits, inner.first)
            node.more.update(inner.more)
            node.text = f"{inner.more['prefix']} {option.name}"
            return node, shift
    return None


# -- ranges ------------------------------------------------------------------------------------------------------------
def compare_range(reader: Reader, left: Node, negated: bool, low: bytes, high: bytes, at: int) -> None:
    """A range expression."""
    reader.complete(left)
    ends = [constant(left.dtype, edge, left.host, left.bits, reader.resolver, end=True) for edge in (low, high)]
    _relation(reader, left, "!=" if negated else "==", "-".join(ends), at, None)


def bytes_of(value: int, size: int, host: bool) -> bytes:
    return value.to_bytes(size, sys.byteorder if host else "big")


def trimmed(reader: Reader, binop: Node) -> Node | None:
    """A masked load as the bit field it stands for, for keys of sets and maps."""
    inner = binop.left
    if inner is None:
        return None
    found = _trim(reader, inner, binop.right, binop.bits)
    if found is None:
        return None
    node, shift = found
    header, field = node.more.get("header"), node.more.get("field")
    if header is not None and field is not None:
        reader.protocols.implied_by(header, field, node.more["base"], reader.statements)
    node.more["shift"] = shift
    node.bits = binop.bits
    return node
