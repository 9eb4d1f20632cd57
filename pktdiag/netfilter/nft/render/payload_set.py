"""``ip ttl set 5``: header fields written, bit fields unwrapped from the mask they were packed in
(nftables src/netlink_delinearize.c: stmt_payload_postprocess, stmt_payload_binop_postprocess)."""

from __future__ import annotations

from pktdiag.netfilter.nft.render.datatypes import format_value
from pktdiag.netfilter.nft.render.tree import Node, constant, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pktdiag.netfilter.nft.render.native import Reader


def payload_set(reader: Reader, each: Any, at: int) -> None:
    target = Node("payload", "xinteger", each.length * 8, at)
    target.more.update(base=each.base, offset=each.offset * 8)
    source = reader.get(each.sreg)
    found = reader.protocols.describe(each.base, each.offset * 8, each.length * 8)
    if found is None:
        packed = _bit_field(reader, each, source)
        if packed is not None:
            header, field, value = packed
            reader.protocols.implied_by(header, field, each.base, reader.statements)
            reader.add(f"{header.name} {field.name} set {format_value(field.dtype, value, field.bits)}", at, source.first)
            return
    reader.complete(target)
    if source.kind == "value":
        shown = constant(target.dtype, source.more["data"][: each.length], target.host, target.bits, reader.resolver)
    else:
        shown = show(reader.complete(source), reader.resolver)
    reader.add(f"{target.text} set {shown}", at, source.first)


def _bit_field(reader: Reader, each: Any, source: Node) -> tuple[Any, Any, int] | None:
    """(payload & ~field) | value: the header, the field and the value in the field's own bits."""
    bits = each.length * 8
    full = (1 << bits) - 1
    value, inner, mask = 0, source, None
    if inner.kind == "binop" and inner.op in ("|", "^") and inner.left is not None:
        value, inner = inner.right, inner.left
        mask = value
    if inner.kind == "binop" and inner.op == "&" and inner.left is not None:
        mask, inner = full ^ inner.right | value, inner.left
    if inner.kind != "payload" or mask is None or not mask:
        return None
    if (inner.more["base"], inner.more["offset"], inner.bits) != (each.base, each.offset * 8, bits):
        return None
    shift = (mask & -mask).bit_length() - 1
    length = mask.bit_length() - shift
    found = reader.protocols.describe(each.base, each.offset * 8 + bits - mask.bit_length(), length)
    return (*found, value >> shift) if found is not None else None
