"""Anonymous sets and maps as they stand in a rule: ``{ 22, 80-90, 10.0.0.0/8 . 443 : accept }``.

Elements are sorted as nft sorts them (src/mergesort.c); the two ends of an interval become a prefix or a range again
(src/segtree.c: get_set_intervals, interval_map_decompose).
"""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft import verdict as verdicts
from pktdiag.netfilter.nft.render.datatypes import BITMASKS, HOST_ORDER, PREFIXED, STRINGS, TYPE_BITS, TYPE_NAMES, format_flags
from pktdiag.netfilter.nft.render.tree import Node, constant, number, prefix_length
from pktdiag.netfilter.nft.render.userdata import comment, field
from pktdiag.netfilter.nft.set_elements import (
    ANONYMOUS,
    CATCHALL,
    CONCAT,
    DATA_VERDICT,
    INTERVAL,
    INTERVAL_END,
    MAP,
    OBJECT,
    Element,
    SetInfo,
)
from pktdiag.netfilter.nft.sets import Set, SetStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.model.view import NamespaceView
    from pktdiag.netfilter.nft.render.native import Reader
    from pktdiag.netfilter.nft.rule import Rule


class FieldType(NamedTuple):
    dtype: str
    host: bool
    size: int
    """Bytes without the padding to a register."""
    shift: int = 0
    """Bits below a bit field's value."""


def set_text(reader: Reader, name: str, key: Node | None) -> str:
    """``@name`` for a named set, the elements for an anonymous one."""
    found = reader.ns and _store(reader).get(reader.rule.table, name)
    if not found or not found.info.flags & ANONYMOUS:
        return f"@{name}"
    fields = key_fields(found, key)
    texts = [f"{one}{_data(reader, found, element)}" for one, element in _keys(reader, found, fields)]
    return "{ " + ", ".join(texts) + " }" if texts else "{  }"


def elements_met(ns: NamespaceView, rule: Rule, met: list[tuple[Set, Element, bytes]]) -> tuple[str, dict[str, list[dict[str, str]]]]:
    """Which elements of named sets and maps a rule's lookups fell on: in words, and as a step's detail."""
    from pktdiag.netfilter.nft.render.native import Reader

    reader = Reader(ns, rule)
    texts: list[str] = []
    found: list[dict[str, str]] = []
    for table, element, key in met:
        text = element_text(reader, table, element, key)
        kind = "map" if table.info.flags & MAP else "set"
        texts.append(f"element {text} of {kind} {table.name}")
        found.append({"set": table.name, "element": text, "comment": comment(element.userdata) or ""})
    return " and ".join(texts), {"elements": found}


def element_text(reader: Reader, found: Set, element: Element, key: bytes) -> str:
    """``192.0.2.1 . udp . 53 comment "default/dns" : goto reject-chain``; ``key``: what fell on it, which tells more than the start of an
    interval."""
    fields = declared_fields(found.info.key_type, found.key_length, _host(found.info.userdata, 0))
    if found.info.flags & INTERVAL and not found.info.flags & CONCAT:
        fields = [each._replace(host=False) for each in fields]
    text = "*" if element.flags & CATCHALL else _key_text(reader, element._replace(key=key, key_end=None), fields)
    return text + _data(reader, found, element)


def _store(reader: Reader) -> SetStore:
    from pktdiag.netfilter.nft.load import ruleset

    return ruleset(reader.ns).sets(reader.family)


def key_fields(found: Set, key: Node | None) -> list[FieldType]:
    """Types of the key's parts: as the left side has them, else as the set was declared."""
    if key is not None and key.kind == "concat":
        return [FieldType(part.dtype, part.host, part.size, part.more.get("shift", 0)) for part in key.parts]
    if key is not None and key.kind != "value":
        return [FieldType(key.dtype, key.host, found.key_length, key.more.get("shift", 0))]
    return declared_fields(found.info.key_type, found.key_length, _host(found.info.userdata, 0))


def data_fields(info: SetInfo) -> list[FieldType]:
    """Types of a map's values."""
    return declared_fields(info.data_type, info.data_length, _host(info.userdata, 1))


def _host(userdata: bytes, wanted: int) -> bool:
    """NFTNL_UDATA_SET_KEYBYTEORDER (0) or DATABYTEORDER (1): plain integers have no byte order of their own."""
    order = field(userdata, wanted)
    return order is not None and len(order) == 4 and int.from_bytes(order, sys.byteorder) == 1


def declared_fields(type_id: int, length: int, host: bool = False) -> list[FieldType]:
    """A type id holds six bits for each part of a concatenation."""
    ids = []
    while type_id:
        ids.append(type_id & 0x3F)
        type_id >>= 6
    names = [TYPE_NAMES.get(each, "xinteger") for each in reversed(ids)] or ["xinteger"]
    if len(names) == 1:
        size = (TYPE_BITS.get(names[0], length * 8) + 7) // 8
        return [FieldType(names[0], names[0] in HOST_ORDER or (names[0] == "integer" and host), min(size, length))]
    return [FieldType(name, name in HOST_ORDER, (TYPE_BITS.get(name, 32) + 7) // 8) for name in names]


def _keys(reader: Reader, found: Set, fields: list[FieldType]) -> list[tuple[str, Element]]:
    elements = found.elements()
    plain = [each for each in elements if not each.flags & CATCHALL]
    rest = [("*", each) for each in elements if each.flags & CATCHALL]
    if found.info.flags & INTERVAL and not found.info.flags & CONCAT:
        return _intervals(reader, plain, fields[0]) + rest
    plain = plain[::-1]  # of equal ones the last that was dumped comes first
    plain.sort(key=lambda each: _order(each.key, fields))
    return [(_key_text(reader, each, fields), each) for each in plain] + rest


def _order(key: bytes, fields: list[FieldType]) -> tuple[int, ...]:
    """Of several flags the lowest counts: nft takes them apart before it sorts (src/mergesort.c: expr_msort_value, of the left operand)."""
    numbers = ((number(part, kind.host), kind.dtype) for part, kind in _split(key, fields))
    return tuple(value & -value if dtype in BITMASKS else value for value, dtype in numbers)


def _split(key: bytes, fields: list[FieldType]) -> list[tuple[bytes, FieldType]]:
    parts, at = [], 0
    for kind in fields:
        parts.append((key[at : at + kind.size], kind))
        at += kind.size + 3 & ~3
    return parts


def _key_text(reader: Reader, element: Element, fields: list[FieldType]) -> str:
    low = _split(element.key, fields)
    high = _split(element.key_end, fields) if element.key_end is not None else low
    texts = []
    for (one, kind), (two, _) in zip(low, high):
        texts.append(_range_text(reader, one, two, kind))
    return " . ".join(texts)


def _range_text(reader: Reader, low: bytes, high: bytes, kind: FieldType) -> str:
    """A value, a prefix where the type has prefixes and the ends fit, else a range."""
    bits = len(low) * 8
    if kind.shift:
        low, high = (_shifted(edge, kind.shift) for edge in (low, high))
    if low == high:
        flags = format_flags(kind.dtype, number(low, kind.host)) if kind.dtype in BITMASKS else []
        return " | ".join(flags) if len(flags) > 1 else constant(kind.dtype, low, kind.host, bits, reader.resolver)
    one, two = number(low, kind.host), number(high, kind.host)
    if kind.dtype in PREFIXED:
        length = prefix_length((1 << bits) - 1 ^ one ^ two, bits)
        if length is not None and not one & (one ^ two):
            return f"{constant(kind.dtype, low, kind.host, bits)}/{length}"
    return "-".join(constant(kind.dtype, edge, kind.host, bits, reader.resolver, end=True) for edge in (low, high))


def _shifted(value: bytes, shift: int) -> bytes:
    return (int.from_bytes(value, "big") >> shift).to_bytes(len(value), "big")


def _intervals(reader: Reader, elements: list[Element], kind: FieldType) -> list[tuple[str, Element]]:
    """Start and end elements paired; keys of interval sets are big endian whatever their type."""
    big = kind._replace(host=False)
    elements.sort(key=lambda each: (each.key, not each.flags & INTERVAL_END))
    texts = []
    for at, each in enumerate(elements):
        if each.flags & INTERVAL_END:
            continue
        following = elements[at + 1] if at + 1 < len(elements) else None
        size = len(each.key)
        last = int.from_bytes(following.key, "big") - 1 if following is not None else (1 << size * 8) - 1
        high = last.to_bytes(size, "big")
        if kind.dtype in STRINGS:
            texts.append((_string_text(each.key, high), each))
        elif each.key == bytes(size) and high == b"\xff" * size and kind.dtype in PREFIXED:
            texts.append((f"{constant(kind.dtype, each.key, False, size * 8)}/0", each))
        else:
            texts.append((_range_text(reader, each.key, high, big), each))
    return texts


def _string_text(low: bytes, high: bytes) -> str:
    """An interval of interface names is a name or a wildcard: its ends agree in the leading bytes."""
    if sys.byteorder == "little":
        low, high = low[::-1] if not low[:1].strip(b"\0") else low, high
    same = 0
    while same < len(low) and low[same] == high[same]:
        same += 1
    return constant("ifname", low[:same] if same < len(low) else low, True, 128)


def _stateful(reader: Reader, element: Element) -> str:
    from pktdiag.netfilter.nft.render.native import Reader as OfElement
    from pktdiag.netfilter.nft.render.statements import statement

    own = OfElement(reader.ns, reader.rule)
    for expression in element.expressions():
        statement(own, expression, 0)
    return "".join(f" {each.text}" for each in own.statements)


def _data(reader: Reader, found: Set, element: Element) -> str:
    """What stands behind an element's key: counters and the like, timeout, comment, and a map's `` : value`` (nftables src/expression.c:
    set_elem_expr_print)."""
    info = found.info
    tail = _stateful(reader, element) if element.raw_expressions else ""
    if element.timeout is not None:
        from pktdiag.netfilter.nft.render.datatypes import duration

        tail += f" timeout {duration(element.timeout)}"
    said = comment(element.userdata)
    if said is not None:
        tail += f' comment "{said}"'
    if info.flags & OBJECT:
        return f'{tail} : "{element.objref}"'
    if not info.flags & MAP:
        return tail
    if element.verdict is not None:
        return f"{tail} : {verdicts.name(element.verdict)}"
    if element.data is None:
        return tail
    fields = data_fields(info) if info.data_type != DATA_VERDICT else []
    size = sum(each.size + 3 & ~3 for each in fields)
    pairs = _split(element.data, fields)
    if info.flags & INTERVAL and len(element.data) == 2 * size and len(fields) >= 1:
        high = _split(element.data[size:], fields)
        return f"{tail} : " + " . ".join(_range_text(reader, one, two, kind) for (one, kind), (two, _) in zip(pairs, high))
    return f"{tail} : " + " . ".join(
        constant(kind.dtype, part, kind.host, len(part) * 8, reader.resolver) for part, kind in pairs)
