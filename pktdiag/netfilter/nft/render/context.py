"""Which protocol the packet is known to have at each layer (struct proto_ctx), and which tests are implied by later ones
(struct payload_dep_ctx): ``meta l4proto tcp`` in front of ``tcp dport 22`` is not printed. nftables src/proto.c, payload.c."""

from __future__ import annotations

from pktdiag.netfilter.nft.render.headers import HEADERS, L4, LL, NETWORK, TRANSPORT, Field, Header
from pktdiag.netfilter.nft.render.tree import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FAMILY_NETWORK = {2: "ip", 10: "ip6", 3: "arp"}
MIXED = frozenset((1, 5, 7))
"""inet, netdev, bridge: the network protocol is not given by the table."""


class Statement:
    """One printed match or statement, with what dependency tracking needs to know of it."""

    __slots__ = ("first", "key", "last", "left", "low", "match", "op", "text", "value")

    def __init__(self, text: str, first: int, last: int, match: bool = False) -> None:
        self.text, self.first, self.last, self.match = text, first, last, match
        self.left: Node | None = None
        self.op = ""
        self.value: int | None = None
        self.key = ""
        """For ranges written as two comparisons: the text of the left side."""
        self.low = ""


class Protocols:
    def __init__(self, family: int) -> None:
        self.family = family
        self.header: dict[int, str | None] = {LL: "ether" if family == 7 else None, NETWORK: _FAMILY_NETWORK.get(family),
                                              TRANSPORT: None}
        if family == 5:
            self.header[LL] = "ether"
        self.stacked: list[str] = []
        self.icmp_type: int | None = None
        self.pending: dict[int, Statement] = {}
        """By base of the payload that would imply it: a protocol test that may turn out redundant."""

    def reset(self) -> None:
        self.pending.clear()

    # -- what the packet is known to be --------------------------------------------------------------------------------
    def learn(self, left: Node, value: int) -> None:
        """relational_expr_pctx_update: left == value."""
        key = left.more.get("key")
        if left.kind == "payload":
            header, field = left.more.get("header"), left.more.get("field")
            if header is None or field is None:
                return
            if field.name == "type" and header.name in ("icmp", "icmpv6"):
                self.icmp_type = 8 if header.name == "icmp" and value == 0 else 128 if value == 129 else value
            if field.name == header.key:
                upper = header.upper.get(value)
                if header.base == LL:
                    if upper == "vlan":
                        self.stacked.append(upper)
                    else:
                        self.header[NETWORK] = upper
                else:
                    self.header[TRANSPORT] = upper
        elif key == "nfproto":
            self.header[NETWORK] = {2: "ip", 10: "ip6"}.get(value)
        elif key == "protocol":
            self.header[NETWORK] = {0x0800: "ip", 0x86DD: "ip6", 0x0806: "arp"}.get(value, self.header[NETWORK])
            if value in (0x8100, 0x88A8):
                self.stacked.append("vlan")
        elif key == "l4proto":
            self.header[TRANSPORT] = L4.get(value)
        elif key == "iiftype" and value == 1:
            self.header[LL] = "ether"

    def describe(self, base: int, offset: int, bits: int) -> tuple[Header, Field] | None:
        """payload_expr_complete: the field at a place, if the protocol there is known."""
        name = self.header.get(base)
        if name is None:
            return None
        header = HEADERS[name]
        if base == LL and offset >= 112:
            offset -= 112
            for stacked in self.stacked:
                header = HEADERS[stacked]
                if offset < 32:
                    break
                offset -= 32
        for field in header.fields:
            if field.offset == offset and field.bits == bits:
                if field.icmp is not None and self.icmp_type is not None and field.icmp != self.icmp_type:
                    continue
                return header, field
        return None

    # -- what later tests imply ---------------------------------------------------------------------------------------
    def store(self, statement: Statement, base: int) -> None:
        """payload_dependency_store."""
        self.pending[base + 1] = statement

    def implied_by(self, header: Header, field: Field, base: int, statements: list[Statement]) -> None:
        """payload_dependency_kill: a field of ``header`` was tested."""
        pending = self.pending.get(base)
        if pending is None or not self._redundant(pending, header, field, base):
            return
        del self.pending[base]
        if pending in statements:
            statements.remove(pending)

    def _redundant(self, pending: Statement, header: Header, field: Field, base: int) -> bool:
        left = pending.left
        if left is None:
            return False
        of: Any = left.more.get("header")
        if self.family in MIXED and left.kind == "payload" and of is not None:
            if of.name in ("ip", "ip6") and base == TRANSPORT:
                return False
            if base == left.more["base"]:
                if field.name == header.key:
                    return False
                if base == LL:
                    return bool(of.name == "ether" and pending.value in (0x8100, 0x88A8))
        if base == TRANSPORT and left.kind == "payload" and left.more["base"] == TRANSPORT and of is not None:
            if of.name in ("icmp", "icmpv6"):  # payload_may_dependency_kill_icmp
                return of is header and field.icmp is not None and field.icmp == self.icmp_type
        return True

    def meta_implies(self, key: str, value: int | None, statements: list[Statement]) -> None:
        """ct_meta_common_postprocess with meta_may_dependency_kill: ``meta l4proto icmp`` implies IPv4 and so on."""
        base = {"nfproto": LL, "protocol": LL, "l4proto": NETWORK}.get(key)
        if base is None:
            return
        pending = self.pending.get(base)
        if pending is None:
            return
        if self.family in MIXED:
            left = pending.left
            if left is None or key != "l4proto" or value not in (1, 58):
                return
            if left.more.get("key") not in ("nfproto", "protocol") and left.text != "ether type":
                return
            four = pending.value in (2, 0x0800)
            if (not four and pending.value not in (10, 0x86DD)) or (four and value == 58) or (not four and value == 1):
                return
        del self.pending[base]
        if pending in statements:
            statements.remove(pending)

    def pending_remove(self, base: int, statements: list[Statement]) -> None:
        """exthdr_dependency_kill: an option or extension header implies its protocol."""
        pending = self.pending.pop(base, None)
        if pending is not None and pending in statements:
            statements.remove(pending)
