"""Sets and their elements as the kernel describes them: NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM (uapi/linux/netfilter/nf_tables.h)."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft import verdict as verdicts
from pktdiag.netfilter.nft.verdict import Verdict
from pktdiag.netfilter.nft.wire import NFGENMSG, MalformedError, attributes, string, text, u32, u64, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pktdiag.netfilter.nft.exprs import Expression

ANONYMOUS, CONSTANT, INTERVAL, MAP, TIMEOUT, EVAL, OBJECT, CONCAT, EXPR = (1 << bit for bit in range(9))
INTERVAL_END, CATCHALL = 1, 2
DATA_VERDICT = 0xFFFFFF00


class Element(NamedTuple):
    key: bytes
    key_end: bytes | None
    flags: int
    data: bytes | None
    verdict: Verdict | None
    objref: str
    timeout: int | None
    expiration: int | None
    """Milliseconds."""
    raw_expressions: tuple[bytes, ...]
    userdata: bytes

    def expressions(self) -> list[Expression]:
        from pktdiag.netfilter.nft.exprs import decode

        return [decode(raw) for raw in self.raw_expressions]


class SetInfo(NamedTuple):
    """NFT_MSG_NEWSET."""

    table: str
    name: str
    flags: int
    key_type: int
    key_length: int
    data_type: int
    data_length: int
    object_type: int
    timeout: int | None
    gc_interval: int | None
    size: int | None
    policy: int
    fields: tuple[int, ...]
    """Bytes of each field of a concatenation; empty where the kernel does not say."""
    handle: int
    userdata: bytes
    raw_expressions: tuple[bytes, ...]


def decode_set(payload: bytes) -> SetInfo:
    """Raises MalformedError."""
    attrs = attributes(payload, NFGENMSG)
    size, fields = None, []
    desc = attrs.get(9)
    if desc is not None:
        found = attributes(desc)
        size = u32(found, 1) if 1 in found else None
        for kind, start, end in walk(found.get(2, b"")):
            if kind == 1:
                fields.append(u32(attributes(found[2][start:end]), 1))
    return SetInfo(
        string(attrs, 1), string(attrs, 2), u32(attrs, 3, 0), u32(attrs, 4, 0), u32(attrs, 5), u32(attrs, 6, 0),
        u32(attrs, 7, 0), u32(attrs, 15, 0), u64(attrs, 11) if 11 in attrs else None, u32(attrs, 12) if 12 in attrs else None,
        size, u32(attrs, 8, 0), tuple(fields), u64(attrs, 16, 0), attrs.get(13, b""), _expressions(attrs, 17, 18))


def _expressions(attrs: dict[int, bytes], single: int, several: int) -> tuple[bytes, ...]:
    if several in attrs:
        blob = attrs[several]
        return tuple(blob[start:end] for kind, start, end in walk(blob) if kind == 1)
    return (attrs[single],) if single in attrs else ()


def decode_elements(payload: bytes) -> list[Element]:
    """The elements of one NFT_MSG_NEWSETELEM payload; senseless ones are left out by raising MalformedError."""
    attrs = attributes(payload, NFGENMSG)
    blob = attrs.get(3, b"")
    return [_element(attributes(blob[start:end])) for kind, start, end in walk(blob) if kind == 1]


def _element(attrs: dict[int, bytes]) -> Element:
    flags = u32(attrs, 3, 0)
    data, verdict = None, None
    if 2 in attrs:
        nested = attributes(attrs[2])
        if 2 in nested:
            verdict = verdicts.decode(attributes(nested[2]))
        else:
            data = nested.get(1)
    if 1 in attrs:
        key = attributes(attrs[1]).get(1)
        if key is None:
            raise MalformedError("element key")
    elif flags & CATCHALL:
        key = b""
    else:
        raise MalformedError("element without key")
    key_end = attributes(attrs[10]).get(1) if 10 in attrs else None
    return Element(key, key_end, flags, data, verdict, text(attrs.get(9, b"")), u64(attrs, 4) if 4 in attrs else None,
                   u64(attrs, 5) if 5 in attrs else None, _expressions(attrs, 7, 11), attrs.get(6, b""))


def decoded(payloads: Iterable[bytes]) -> list[Element]:
    """The elements of a dump, without those of messages that make no sense."""
    found: list[Element] = []
    for payload in payloads:
        try:
            found += decode_elements(payload)
        except MalformedError:
            continue
    return found
