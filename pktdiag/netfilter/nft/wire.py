"""Netlink attributes of nf_tables, walked over plain bytes.

Tolerant: a truncated or senseless attribute ends the walk of its level, and whoever needs the missing attribute raises
:class:`MalformedError`, which the decoders turn into a named ``UndecodedExpr``. Nothing here raises anything else.
Integers are big endian on this wire (net/netfilter/nf_tables_api.c dumps with nla_put_be32 / be64).
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = Struct("=HH").unpack_from
_U32 = Struct(">I").unpack_from
_U64 = Struct(">Q").unpack_from

NLA_TYPE_MASK = 0x3FFF
NFGENMSG = 4
"""Bytes of struct nfgenmsg in front of the attributes of every message."""


class MalformedError(ValueError):
    """An attribute that the kernel always sends is missing or too short."""


def walk(data: bytes, offset: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Each attribute as (type, start, end) of its payload within ``data``."""
    stop = len(data) if end is None else end
    while offset + 4 <= stop:
        length, kind = _HEADER(data, offset)
        if length < 4 or offset + length > stop:
            return
        yield kind & NLA_TYPE_MASK, offset + 4, offset + length
        offset += length + 3 & ~3


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attribute payloads by type; the last one wins where a type repeats (use :func:`walk` for lists)."""
    found = {}
    stop = len(data)
    while offset + 4 <= stop:
        length, kind = _HEADER(data, offset)
        if length < 4 or offset + length > stop:
            break
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += length + 3 & ~3
    return found


def u32(attrs: dict[int, bytes], kind: int, default: int | None = None) -> int:
    """A big-endian 32-bit number. Raises MalformedError when absent (and no default) or short."""
    value = attrs.get(kind)
    if value is not None and len(value) >= 4:
        return int(_U32(value)[0])
    if value is None and default is not None:
        return default
    raise MalformedError(f"attribute {kind}")


def u64(attrs: dict[int, bytes], kind: int, default: int | None = None) -> int:
    """A big-endian 64-bit number."""
    value = attrs.get(kind)
    if value is not None and len(value) >= 8:
        return int(_U64(value)[0])
    if value is None and default is not None:
        return default
    raise MalformedError(f"attribute {kind}")


def u8(attrs: dict[int, bytes], kind: int, default: int | None = None) -> int:
    value = attrs.get(kind)
    if value:
        return value[0]
    if value is None and default is not None:
        return default
    raise MalformedError(f"attribute {kind}")


def u16(attrs: dict[int, bytes], kind: int, default: int | None = None) -> int:
    value = attrs.get(kind)
    if value is not None and len(value) >= 2:
        return value[0] << 8 | value[1]
    if value is None and default is not None:
        return default
    raise MalformedError(f"attribute {kind}")


def string(attrs: dict[int, bytes], kind: int, default: str | None = None) -> str:
    """A NUL-terminated string. Bytes that are no UTF-8 survive as surrogates, so that names still compare."""
    value = attrs.get(kind)
    if value is None:
        if default is None:
            raise MalformedError(f"attribute {kind}")
        return default
    return text(value)


def text(value: bytes) -> str:
    """Bytes up to the first NUL as text."""
    return value.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def register(attrs: dict[int, bytes], kind: int) -> int:
    """Byte offset into the register file of a register attribute.

    NFT_REG_1..4 are 16-byte registers, NFT_REG32_00..15 name the same memory in words
    (net/netfilter/nf_tables_api.c: nft_parse_register). Raises MalformedError outside of it; 0 is the verdict register.
    """
    number = u32(attrs, kind)
    if number <= 4:
        return number * 16
    if 8 <= number <= 23:
        return 16 + (number - 8) * 4
    raise MalformedError(f"register {number}")


def optional_register(attrs: dict[int, bytes], kind: int) -> int | None:
    """Like :func:`register`; None where the attribute is absent."""
    return register(attrs, kind) if kind in attrs else None


def data_value(attrs: dict[int, bytes], kind: int) -> bytes:
    """NFTA_DATA_VALUE of a nested nft_data attribute."""
    nested = attrs.get(kind)
    if nested is None:
        raise MalformedError(f"attribute {kind}")
    value = attributes(nested).get(1)
    if value is None:
        raise MalformedError(f"attribute {kind}")
    return value
