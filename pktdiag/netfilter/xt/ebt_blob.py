"""Cuts a legacy ebtables table into chains and rules. include/uapi/linux/netfilter_bridge/ebtables.h.

The reply is struct ebt_replace, the entries, then one struct ebt_counter for each rule, chain after chain.
"""

from __future__ import annotations

from struct import Struct

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.xt.base import text
from pktdiag.netfilter.xt.blob import Item, MalformedTableError

_REPLACE = Struct("@32sIIIPPPPPPIPP")
_CHAIN = Struct("=I32sIiI")
_CHAIN_SIZE = 48
_ENTRY = Struct("=II2s16s16s16s16s6s6s6s6s2xIII")
_ENTRY_SIZE = 112
_ITEM = Struct("=31sBI")
_ITEM_SIZE = 40
_COUNTER = Struct("=QQ")

ENTRY_OR_ENTRIES, NOPROTO, LENGTH, SOURCEMAC, DESTMAC = 1, 2, 4, 8, 16
IPROTO, IIN, IOUT, ISOURCE, IDEST, ILOGICALIN, ILOGICALOUT = (1 << bit for bit in range(7))
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING", "BROUTING")


class EbtRule(NamedTuple):
    """struct ebt_entry; watchers look before the target runs."""

    bitmask: int
    invflags: int
    proto: int
    devices: tuple[bytes, bytes, bytes, bytes]
    """in, logical in, out, logical out; a byte 1 in a name is the wildcard."""
    src: tuple[bytes, bytes]
    dst: tuple[bytes, bytes]
    matches: tuple[Item, ...]
    watchers: tuple[Item, ...]
    target: Item
    verdict: int | None
    """Standard target: EBT_* or the offset of a chain."""
    packets: int
    bytes: int


class EbtChain(NamedTuple):
    name: str
    policy: int
    """EBT_*; EBT_RETURN for user chains."""
    rules: tuple[EbtRule, ...]


class EbtTable(NamedTuple):
    name: str
    valid_hooks: int
    chains: dict[int, EbtChain]
    """By offset of their head: what a jump's verdict names."""

    def base_chain(self, hook: int) -> EbtChain | None:
        """Base chains come first, in hook order."""
        if not self.valid_hooks >> hook & 1:
            return None
        position = sum(self.valid_hooks >> lower & 1 for lower in range(hook))
        chains = list(self.chains.values())
        return chains[position] if position < len(chains) else None


def parse(info: bytes, entries: bytes) -> EbtTable:
    """Raises MalformedTableError."""
    if len(info) < _REPLACE.size or len(entries) < _REPLACE.size:
        raise MalformedTableError("the ebtables table's header is truncated")
    name, valid_hooks, count, size, *_ = _REPLACE.unpack_from(info)
    data = entries[_REPLACE.size:_REPLACE.size + size]
    counters = entries[_REPLACE.size + size:]
    if len(data) < size or len(counters) < count * _COUNTER.size:
        raise MalformedTableError("the ebtables table is truncated")
    chains: dict[int, EbtChain] = {}
    at = number = 0
    while at + _CHAIN_SIZE <= size:
        start = at
        _, chain_name, _offset, policy, total = _CHAIN.unpack_from(data, at)
        at += _CHAIN_SIZE
        rules = []
        for _ in range(total):
            rule, at = _rule(data, at, counters, number)
            rules.append(rule)
            number += 1
        chains[start] = EbtChain(text(chain_name), policy, tuple(rules))
    return EbtTable(text(name), valid_hooks, chains)


def _rule(data: bytes, at: int, counters: bytes, number: int) -> tuple[EbtRule, int]:
    if at + _ENTRY_SIZE > len(data) or (number + 1) * _COUNTER.size > len(counters):
        raise MalformedTableError("an ebtables entry lies outside the table")
    (bitmask, inv, proto, indev, logical_in, outdev, logical_out, smac, smsk, dmac, dmsk, watchers_at, target_at,
     next_at) = _ENTRY.unpack_from(data, at)
    if not _ENTRY_SIZE <= watchers_at <= target_at < next_at or at + next_at > len(data):
        raise MalformedTableError("an ebtables entry's offsets are wrong")
    matches = _items(data, at + _ENTRY_SIZE, at + watchers_at)
    watchers = _items(data, at + watchers_at, at + target_at)
    target = _items(data, at + target_at, at + next_at)[0]
    verdict = Struct("=i").unpack_from(target.data)[0] if target.name == "standard" and len(target.data) >= 4 else None
    packets, octets = _COUNTER.unpack_from(counters, number * _COUNTER.size)
    return EbtRule(bitmask, inv, proto[0] << 8 | proto[1], (indev, logical_in, outdev, logical_out), (smac, smsk), (dmac, dmsk),
                   matches, watchers, target, verdict, packets, octets), at + next_at


def _items(data: bytes, at: int, end: int) -> tuple[Item, ...]:
    items = []
    while at < end:
        if at + _ITEM_SIZE > end:
            raise MalformedTableError("an ebtables match is truncated")
        name, rev, size = _ITEM.unpack_from(data, at)
        if at + _ITEM_SIZE + size > end:
            raise MalformedTableError("an ebtables match's size is wrong")
        items.append(Item(text(name), rev, data[at + _ITEM_SIZE:at + _ITEM_SIZE + size]))
        at += _ITEM_SIZE + size
    return tuple(items)
