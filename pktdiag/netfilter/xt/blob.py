"""Cuts the getsockopt reply of a legacy table into rules.

struct ipt_getinfo / ipt_get_entries / ipt_entry: include/uapi/linux/netfilter_ipv4/ip_tables.h; likewise ip6_tables.h,
arp_tables.h. Entries are parsed one by one when the evaluation comes to them: a table of 20,000 rules costs what is walked.
A chain's name stands in the ERROR entry in front of its first rule; a jump's verdict is the offset of that first rule.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812
from sys import byteorder

from pktdiag.model.kernel import AF_INET, AF_INET6, NFPROTO_ARP
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.xt.base import text

INET_CHAINS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
ARP_CHAINS = ("INPUT", "OUTPUT", "FORWARD")

RETURN = -5
VERDICTS = {-1: "DROP", -2: "ACCEPT", -4: "QUEUE", -5: "RETURN"}
"""Standard verdicts as stored: -NF_x - 1; XT_RETURN is -NF_REPEAT - 1."""

_IP4 = Struct("=4s4s4s4s16s16s16s16sHBB IHHI QQ")
_IP6 = Struct("=16s16s16s16s16s16s16s16sHBBB3x IHHI4x QQ")
_ARP = Struct("=4s4s4s4s BB 16s16s16s16s 2s2s2s2s2s2s 16s16s16s16s BxH")
_ARP_TAIL = Struct("=HHI4xQQ")
_OFFSETS = Struct("=HH")
_QUICK4 = Struct("=IIII64xHBB4xHH").unpack_from
_ITEM = Struct("=H29sB")
_INFO = Struct("=32sI5I5III")
_ARP_INFO = Struct("=32sI3I3III")
_GET_ENTRIES_HEADER = 40
_HEAD_SIZE = {AF_INET: 112, AF_INET6: 168, NFPROTO_ARP: 192}
_TARGET_OFFSET_AT = {AF_INET: 88, AF_INET6: 140, NFPROTO_ARP: 164}
_GOTO_FLAG = {AF_INET: 0x02, AF_INET6: 0x04, NFPROTO_ARP: 0}
_ERROR_ENTRY_TAIL = 64
"""sizeof(struct xt_error_target), aligned."""


class MalformedTableError(ValueError):
    """The bytes are not a table."""


class Item(NamedTuple):
    """One match or target."""

    name: str
    rev: int
    data: bytes


class Head(NamedTuple):
    """struct ipt_ip / ip6t_ip6: what a rule asks of the packet before any match."""

    src: bytes
    src_mask: bytes
    dst: bytes
    dst_mask: bytes
    iniface: bytes
    iniface_mask: bytes
    outiface: bytes
    outiface_mask: bytes
    proto: int
    proto_given: bool
    """IPv6: IP6T_F_PROTO; IPv4: proto is not 0."""
    frag: bool
    invflags: int
    arp: ArpHead | None = None


class ArpHead(NamedTuple):
    """struct arpt_arp's own fields: (value, mask) pairs, numbers in host order."""

    hln: tuple[int, int]
    src_mac: tuple[bytes, bytes]
    dst_mac: tuple[bytes, bytes]
    op: tuple[int, int]
    hrd: tuple[int, int]
    pro: tuple[int, int]
    flags: int
    invflags: int


class Rule(NamedTuple):
    """One entry."""

    offset: int
    next: int
    head: Head
    matches: tuple[Item, ...]
    target: Item
    verdict: int | None
    """The standard target's verdict: negative see VERDICTS, else the offset jumped to (``next``: no target). None: an
    extension target."""
    goto: bool
    packets: int
    bytes: int

    @property
    def no_target(self) -> bool:
        return self.verdict is not None and self.verdict == self.next


class Chain(NamedTuple):
    """One chain, rules in order, without the entry that closes it."""

    name: str
    hook: int | None
    policy: str | None
    """"ACCEPT" or "DROP" for built-in chains; None for user chains."""
    start: int
    rules: tuple[Rule, ...]
    packets: int
    bytes: int
    """Of the policy."""


class Table:
    """One legacy table, lazily parsed."""

    __slots__ = (
        "_chains",
        "_rules",
        "_target_offset_at",
        "base",
        "chain_names",
        "entries",
        "family",
        "hook_entry",
        "name",
        "size",
        "underflow",
        "valid_hooks",
    )

    def __init__(self, family: int, info: bytes, entries: bytes) -> None:
        self.family = family
        shape, hooks = (_ARP_INFO, 3) if family == NFPROTO_ARP else (_INFO, 5)
        if len(info) < shape.size or len(entries) < _GET_ENTRIES_HEADER:
            raise MalformedTableError("the table's header is truncated")
        fields = shape.unpack_from(info)
        self.name = text(fields[0])
        self.valid_hooks: int = fields[1]
        self.hook_entry: tuple[int, ...] = fields[2:2 + hooks]
        self.underflow: tuple[int, ...] = fields[2 + hooks:2 + 2 * hooks]
        self.entries = entries
        self.base = _GET_ENTRIES_HEADER
        self.size = len(entries) - self.base
        self.chain_names = ARP_CHAINS if family == NFPROTO_ARP else INET_CHAINS
        self._target_offset_at = _TARGET_OFFSET_AT[family]
        self._rules: dict[int, Rule] = {}
        self._chains: dict[str, Chain] | None = None

    def rule(self, offset: int) -> Rule:
        """The entry at ``offset`` from the start of the entries. Raises MalformedTableError."""
        rule = self._rules.get(offset)
        if rule is None:
            rule = self._rules[offset] = self._parse(offset)
        return rule

    def _parse(self, offset: int) -> Rule:
        data, at = self.entries, self.base + offset
        head_size, goto_flag = _HEAD_SIZE[self.family], _GOTO_FLAG[self.family]
        if offset < 0 or at + head_size > len(data):
            raise MalformedTableError("an entry lies outside the table")
        if self.family == AF_INET:
            (src, dst, smsk, dmsk, iif, oif, iifm, oifm, proto, flags, inv, _cache, target, next_, _from, packets,
             bytes_) = _IP4.unpack_from(data, at)
            head = Head(src, smsk, dst, dmsk, iif, iifm, oif, oifm, proto, proto != 0, bool(flags & 1), inv)
        elif self.family == AF_INET6:
            (src, dst, smsk, dmsk, iif, oif, iifm, oifm, proto, _tos, flags, inv, _cache, target, next_, _from, packets,
             bytes_) = _IP6.unpack_from(data, at)
            head = Head(src, smsk, dst, dmsk, iif, iifm, oif, oifm, proto, bool(flags & 1), False, inv)
        else:
            head, flags = _arp_head(data, at)
            target, next_, _from, packets, bytes_ = _ARP_TAIL.unpack_from(data, at + _TARGET_OFFSET_AT[NFPROTO_ARP])
        if next_ < target + 32 or target < head_size or at + next_ > len(data):
            raise MalformedTableError("an entry's offsets are wrong")
        end = at + target
        matches: list[Item] = []
        position = at + head_size
        while position < end:
            size, name, rev = _ITEM.unpack_from(data, position)
            if size < 32 or position + size > end:
                raise MalformedTableError("a match's size is wrong")
            matches.append(Item(text(name), rev, data[position + 32:position + size]))
            position += size
        size, name, rev = _ITEM.unpack_from(data, end)
        item = Item(text(name), rev, data[end + 32:at + next_])
        verdict = int.from_bytes(item.data[:4], byteorder, signed=True) if not item.name else None
        return Rule(offset, offset + next_, head, tuple(matches), item, verdict, bool(flags & goto_flag), packets, bytes_)

    def pass_over(self, offset: int, src: bytes, dst: bytes, proto: int) -> tuple[int, int]:
        """(the first entry from ``offset`` on that addresses and protocol alone do not rule out, how many were passed over). Most of
        a long chain is dealt with here, without being cut. Same comparisons as ``head.head_matches``; the entry that ends a chain
        has an empty head, so none is left."""
        passed = 0
        if self.family != AF_INET:
            return offset, passed
        entries, at = self.entries, self.base + offset
        sender, receiver = int.from_bytes(src, byteorder), int.from_bytes(dst, byteorder)
        try:
            while True:
                want_src, want_dst, src_mask, dst_mask, want_proto, _, inv, _, following = _QUICK4(entries, at)
                if not following or not (
                        (sender & src_mask == want_src) == (inv & 0x08 == 0x08)
                        or (receiver & dst_mask == want_dst) == (inv & 0x10 == 0x10)
                        or (want_proto and (want_proto == proto) == (inv & 0x40 == 0x40))):
                    break
                at += following
                passed += 1
        except StructError:
            raise MalformedTableError("an entry lies outside the table") from None
        return at - self.base, passed

    def next_offset(self, offset: int) -> int:
        following: int = offset + _OFFSETS.unpack_from(self.entries, self.base + offset + self._target_offset_at)[1]
        if following <= offset:
            raise MalformedTableError("an entry's offsets are wrong")
        return following

    def is_error(self, offset: int) -> bool:
        """Whether a chain's (or the table's) ERROR entry stands there."""
        at = self.base + offset
        if at + self._target_offset_at + 4 > len(self.entries):
            return False
        target = at + _OFFSETS.unpack_from(self.entries, at + self._target_offset_at)[0]
        return self.entries[target + 2:target + 8] == b"ERROR\0"

    def chain_starting_at(self, offset: int) -> str:
        """Name of the user chain whose first rule is at ``offset``."""
        at = self.base + offset - _ERROR_ENTRY_TAIL
        if offset < _ERROR_ENTRY_TAIL or self.entries[at + 2:at + 8] != b"ERROR\0":
            return f"chain at {offset}"
        return text(self.entries[at + 32:at + _ERROR_ENTRY_TAIL])

    def is_chain_end(self, rule: Rule) -> bool:
        """Whether it is the RETURN the tools append to every user chain (it counts, but no tool shows it)."""
        return rule.verdict == RETURN and not rule.matches and self.is_error(rule.next)

    def chains(self) -> dict[str, Chain]:
        """Every chain by name, in the table's order. Parses everything: for showing, not for walking."""
        if self._chains is None:
            self._chains = self._read_chains()
        return self._chains

    def _read_chains(self) -> dict[str, Chain]:
        chains: dict[str, Chain] = {}
        for hook, name in enumerate(self.chain_names):
            if not self.valid_hooks & 1 << hook:
                continue
            rules, offset = [], self.hook_entry[hook]
            while offset < self.underflow[hook]:
                rules.append(self.rule(offset))
                offset = rules[-1].next
            policy = self.rule(self.underflow[hook])
            chains[name] = Chain(name, hook, VERDICTS.get(policy.verdict or 0, "DROP"), self.hook_entry[hook], tuple(rules),
                                 policy.packets, policy.bytes)
        ends = [self.underflow[hook] for hook in range(len(self.chain_names)) if self.valid_hooks & 1 << hook]
        offset = self.next_offset(max(ends)) if ends else 0
        while offset < self.size:
            if not self.is_error(offset):
                raise MalformedTableError("a user chain without a name")
            offset = self.next_offset(offset)
            if offset >= self.size:
                break
            name, start = self.chain_starting_at(offset), offset
            rules = []
            while True:
                rule = self.rule(offset)
                offset = rule.next
                if self.is_error(offset):
                    break
                rules.append(rule)
            chains[name] = Chain(name, None, None, start, tuple(rules), 0, 0)
        return chains


def _arp_head(data: bytes, at: int) -> tuple[Head, int]:
    """struct arpt_arp (include/uapi/linux/netfilter_arp/arp_tables.h)."""
    (src, dst, smsk, dmsk, hln, hln_mask, src_mac, src_mac_mask, dst_mac, dst_mac_mask, op, op_mask, hrd, hrd_mask, pro,
     pro_mask, iif, oif, iifm, oifm, flags, inv) = _ARP.unpack_from(data, at)

    def be(raw: bytes) -> int:
        return raw[0] << 8 | raw[1]

    arp = ArpHead((hln, hln_mask), (src_mac, src_mac_mask), (dst_mac, dst_mac_mask), (be(op), be(op_mask)),
                  (be(hrd), be(hrd_mask)), (be(pro), be(pro_mask)), flags, inv)
    return Head(src, smsk, dst, dmsk, iif, iifm, oif, oifm, 0, False, False, inv, arp), flags

