"""SET --map-set: takes mark, priority and queue from the element that holds the packet (skbinfo extension).

The element's values come with the set's members only, so this one case reads them all.
"""

from __future__ import annotations

from pktdiag.model.packet import in_prefix
from pktdiag.netfilter.context import HookContext, Unknown
from pktdiag.netfilter.xt.base import text
from pktdiag.netfilter.xt.ipset import (
    ATTR_ADT,
    CADT_FLAGS,
    CIDR,
    CIDR2,
    ETHER,
    FLAG_NOMATCH,
    IFACE,
    INV_MATCH,
    IP,
    IP2,
    MARK,
    PORT,
    PROTO,
    SKBMARK,
    SKBPRIO,
    SKBQUEUE,
    SetUse,
    attribute_list,
    attributes,
    element_of,
    in_set,
    set_header,
)


def apply_map(ctx: HookContext, use: SetUse, mark: bool, prio: bool, queue: bool) -> None:
    """set_target_v3 of net/netfilter/xt_set.c."""
    held = in_set(ctx, use)
    if isinstance(held, Unknown):
        held = ctx.services.decide(held, ("ipset-map", ctx.ns.id, use))
    if not held or use.flags & INV_MATCH:
        return
    values = _extension(ctx, use)
    if mark and SKBMARK in values:
        value, mask = int.from_bytes(values[SKBMARK][:4], "big"), int.from_bytes(values[SKBMARK][4:], "big")
        ctx.skb.mark = ctx.skb.mark & ~mask & 0xFFFFFFFF ^ value
    if prio and SKBPRIO in values:
        ctx.skb.priority = int.from_bytes(values[SKBPRIO], "big")
    if queue and SKBQUEUE in values:
        ctx.skb.queue = int.from_bytes(values[SKBQUEUE], "big")


def _extension(ctx: HookContext, use: SetUse) -> dict[int, bytes]:
    """Attributes of the most specific member that holds the packet."""
    header = set_header(ctx.ns, use.number)
    element = element_of(header, use, ctx) if header is not None else None
    if header is None or element is None or isinstance(element, Unknown):
        return {}
    best: tuple[int, dict[int, bytes]] = (-1, {})
    for payload in ctx.ns.ipset_members(header.name):
        for _, data in attribute_list(attributes(payload[4:]).get(ATTR_ADT, b"")):
            fields = attributes(data)
            if int.from_bytes(fields.get(CADT_FLAGS, b""), "big") & FLAG_NOMATCH:
                continue
            rank = _rank(fields, element.parts)
            if rank is not None and rank > best[0]:
                best = (rank, fields)
    return best[1]


def _rank(fields: dict[int, bytes], parts: tuple[tuple[str, object], ...]) -> int | None:
    """How specific a member that fits is; None where it does not fit."""
    rank, keys = 0, [(IP, CIDR), (IP2, CIDR2)]
    for kind, value in parts:
        if kind in ("ip", "net"):
            assert isinstance(value, bytes)
            ip_key, cidr_key = keys.pop(0)
            address = next(iter(attributes(fields.get(ip_key, b"")).values()), b"")
            length = fields[cidr_key][0] if cidr_key in fields else len(value) * 8
            if len(address) != len(value) or not in_prefix(value, address, length):
                return None
            rank += length
        elif kind == "port":
            assert isinstance(value, tuple)
            if int.from_bytes(fields.get(PORT, b""), "big") != value[1] or (PROTO in fields and fields[PROTO][0] != value[0]):
                return None
        elif kind == "mac":
            if fields.get(ETHER) != value:
                return None
        elif kind == "mark":
            if int.from_bytes(fields.get(MARK, b""), "big") != value:
                return None
        elif text(fields.get(IFACE, b"")) != value:
            return None
    return rank
