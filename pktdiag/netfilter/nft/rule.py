"""One rule, decoded as far as somebody looks at it."""

from __future__ import annotations

from struct import Struct

from pktdiag.model.trace import RuleRef
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs import Expression, UndecodedExpr, decode
from pktdiag.netfilter.nft.wire import NFGENMSG, attributes, u64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktdiag.netfilter.nft.render.parts import Part

_HEADER = Struct("=HH").unpack_from
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS = 1, 2, 4
FAMILY_NAMES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}


class Rule:
    """NFT_MSG_NEWRULE with its place in the chain. Expressions are decoded one by one, when evaluation reaches them."""

    __slots__ = ("_end", "_ref", "_start", "chain", "family", "front", "index", "parts", "payload", "table")

    def __init__(self, payload: bytes, family: int, table: str, chain: str, index: int, front: bytes = b"") -> None:
        """``front``: :func:`names_in_front` of another rule of the chain."""
        self.payload = payload
        self.front = front
        self.family, self.table, self.chain, self.index = family, table, chain, index
        self._start = -1
        self._end = -1
        self._ref: RuleRef | None = None
        self.parts: tuple[str, list[Part]] | None = None
        """As its tool writes it, once somebody has asked (``render.rule_text``)."""

    def span(self) -> tuple[int, int]:
        """Where the expressions start and end in the payload."""
        if self._start < 0:
            self._locate()
        return self._start, self._end

    def expressions(self) -> Iterator[Expression]:
        """In order of evaluation. A payload that makes no sense yields an UndecodedExpr in the end."""
        payload = self.payload
        offset, end = self.span()
        while offset + 4 <= end:
            length, _ = _HEADER(payload, offset)
            if length < 4 or offset + length > end:
                yield UndecodedExpr("", "truncated", payload[offset:end])
                return
            yield decode(payload[offset + 4 : offset + length])
            offset += length + 3 & ~3

    def _locate(self) -> None:
        payload, offset, stop = self.payload, NFGENMSG, len(self.payload)
        self._start = self._end = 0
        if self.front and payload.startswith(self.front):
            offset = len(self.front)
        while offset + 4 <= stop:
            length, kind = _HEADER(payload, offset)
            if length < 4 or offset + length > stop:
                return
            if kind & 0x3FFF == NFTA_RULE_EXPRESSIONS:
                self._start, self._end = offset + 4, offset + length
                return
            offset += length + 3 & ~3

    @property
    def handle(self) -> int | None:
        attrs = attributes(self.payload, NFGENMSG)
        return u64(attrs, 3, 0) or None if len(attrs.get(3, b"12345678")) >= 8 else None

    @property
    def userdata(self) -> bytes:
        return attributes(self.payload, NFGENMSG).get(7, b"")

    def ref(self, ns: NamespaceView) -> RuleRef:
        """The rule as its owner knows it; rendered once."""
        if self._ref is None:
            from pktdiag.netfilter.nft.render.reference import rule_ref

            self._ref = rule_ref(ns, self)
        return self._ref


def names_in_front(payload: bytes) -> bytes:
    """The beginning of a rule's message that all rules of its chain share: the header, its table's and its chain's name
    (nf_tables_fill_rule_info)."""
    offset = NFGENMSG
    while offset + 4 <= len(payload):
        length, kind = _HEADER(payload, offset)
        if kind not in (NFTA_RULE_TABLE, NFTA_RULE_CHAIN) or length < 4 or offset + (length + 3 & ~3) > len(payload):
            break
        offset += length + 3 & ~3
    return payload[:offset]
