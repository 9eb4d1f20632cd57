"""Named objects of a table: counters, quotas, limits, ct helpers and the like. net/netfilter/nf_tables_api.c: nf_tables_fill_obj_info"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Expression, UndecodedExpr, decode_named
from pktdiag.netfilter.nft.wire import NFGENMSG, MalformedError, attributes, string, u32

(COUNTER, QUOTA, CT_HELPER, LIMIT, CONNLIMIT, TUNNEL, CT_TIMEOUT, SECMARK, CT_EXPECT, SYNPROXY) = range(1, 11)
QUIET = frozenset((COUNTER, CT_TIMEOUT, SECMARK, TUNNEL))
"""Objects that do not decide anything about the packet at hand."""

_EXPRESSIONS = {COUNTER: "counter", QUOTA: "quota", LIMIT: "limit", CONNLIMIT: "connlimit", SYNPROXY: "synproxy"}


class Object(NamedTuple):
    table: str
    name: str
    type: int
    data: bytes
    userdata: bytes


def decode_object(payload: bytes) -> Object:
    """Raises MalformedError."""
    attrs = attributes(payload, NFGENMSG)
    return Object(string(attrs, 1), string(attrs, 2), u32(attrs, 3), attrs.get(4, b""), attrs.get(8, b""))


def find(ns: NamespaceView, family: int, table: str, kind: int, name: str) -> Object | None:
    """Raises Unreadable."""
    for payload in ns.nft_objects(family, table):
        try:
            found = decode_object(payload)
        except MalformedError:
            continue
        if found.name == name and found.type == kind:
            return found
    return None


def missing(name: str) -> Unknown:
    return Unknown(f"the object {name}, which vanished or could not be decoded, lets the packet pass")


def helper_name(found: Object) -> str:
    """NFTA_CT_HELPER_NAME."""
    return string(attributes(found.data), 1, "")


def expectation(found: Object) -> tuple[int, int, int]:
    """NFTA_CT_EXPECT_L3PROTO, _L4PROTO, _DPORT: (family, protocol, port)."""
    attrs = attributes(found.data)
    return int.from_bytes(attrs.get(1, b""), "big"), attrs.get(2, b"\0")[0], int.from_bytes(attrs.get(3, b""), "big")


def expression(found: Object) -> Expression:
    """Stateful objects hold the attributes of the expression of the same name."""
    name = _EXPRESSIONS.get(found.type)
    if name is None:
        return UndecodedExpr(f"object {found.name}", f"type {found.type} is not modelled", found.data)
    return decode_named(name, found.data)
