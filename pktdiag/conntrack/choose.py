"""Which address and port a NAT binding takes.

Source: net/netfilter/nf_nat_core.c (get_unique_tuple, find_best_ips_proto, nf_nat_l4proto_unique_tuple,
nf_nat_used_tuple, nf_nat_used_tuple_new, find_appropriate_src).
"""

from __future__ import annotations

import sys

from pktdiag.conntrack.status import IPS_FIXED_TIMEOUT, IPS_NAT_MASK, IPS_SEQ_ADJUST, IPS_SRC_NAT
from pktdiag.conntrack.table import find, kill, taken, zone_of
from pktdiag.conntrack.tcp import SYN_SENT, TIME_WAIT
from pktdiag.conntrack.tuples import has_ports, invert
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.kernel import (
    IPPROTO_GRE,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
)
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Conn, HookContext, NatRange, Unknown
from pktdiag.netfilter.jhash import jhash2

MAP_IPS, PROTO_SPECIFIED, PROTO_RANDOM, PERSISTENT, PROTO_RANDOM_FULLY, PROTO_OFFSET, NETMAP = 1, 2, 4, 8, 16, 32, 64
RANDOM_ALL = PROTO_RANDOM | PROTO_RANDOM_FULLY

_ICMP = (IPPROTO_ICMP, IPPROTO_ICMPV6)
_MAX_ATTEMPTS, _HARDER = 128, 32


class Choice(NamedTuple):
    """The tuple as it will look on the wire, and whether its port was drawn at random."""

    tuple: ConntrackTuple
    random_port: bool
    exhausted: bool = False
    """No free port was found: the connection clashes when it is confirmed."""


def unique_tuple(ctx: HookContext, conn: Conn, original: ConntrackTuple, wanted: NatRange, source: bool) -> Choice:
    """get_unique_tuple(). ``original`` is the packet as it stands (the inverse of the reply direction)."""
    conns, ns = ctx.services.conns, ctx.ns

    def used(tuple_: ConntrackTuple) -> bool:
        answer = invert(tuple_)
        return answer is not None and taken(conns, ns, answer, conn)

    if source and not wanted.flags & RANDOM_ALL:
        if _in_range(ctx, original, wanted):
            if not _used_new(ctx, conn, original):
                return Choice(original, False)
        else:
            kept = _current_mapping(ctx, conn, original, wanted)
            if kept is not None and not used(kept):
                return Choice(kept, False)
    chosen = _choose_address(original, wanted, conn.zone, source)
    if not wanted.flags & RANDOM_ALL:
        if wanted.flags & PROTO_SPECIFIED:
            if (not wanted.flags & PROTO_OFFSET and _proto_in_range(ctx, chosen, wanted, source)
                    and (wanted.min_proto == wanted.max_proto or not used(chosen))):
                return Choice(chosen, False)
        elif not used(chosen):
            return Choice(chosen, False)
    return _choose_port(ctx, conn, chosen, wanted, source)


def _used_new(ctx: HookContext, conn: Conn, original: ConntrackTuple) -> bool:
    """nf_nat_used_tuple_new() (v6.12): a clash with the mirror image of the same untranslated flow is not one."""
    answer = invert(original)
    if answer is None or not taken(ctx.services.conns, ctx.ns, answer, conn):
        return False
    if conn.orig.proto not in (IPPROTO_UDP, IPPROTO_UDPLITE) or conn.status & (IPS_NAT_MASK | IPS_SEQ_ADJUST):
        return True
    found = find(ctx.services.conns, ctx.ns, conn.zone, original) or find(ctx.services.conns, ctx.ns, conn.zone, answer)
    if found is None:
        return False
    return bool(found[0].status & (IPS_NAT_MASK | IPS_SEQ_ADJUST)) or found[0].orig != conn.reply


def _in_range(ctx: HookContext, tuple_: ConntrackTuple, wanted: NatRange) -> bool:
    """nf_in_range(): the source as it is would do."""
    if wanted.flags & MAP_IPS:
        low, high = wanted.min_addr or b"", wanted.max_addr or wanted.min_addr or b""
        if not low <= tuple_.src <= high:
            return False
    return not wanted.flags & PROTO_SPECIFIED or _proto_in_range(ctx, tuple_, wanted, True)


def _proto_in_range(ctx: HookContext, tuple_: ConntrackTuple, wanted: NatRange, source: bool) -> bool:
    """l4proto_in_range()"""
    if tuple_.proto in _ICMP:
        return wanted.min_proto <= tuple_.sport <= wanted.max_proto
    if tuple_.proto != IPPROTO_GRE and not has_ports(ctx.ns, tuple_.proto):
        return True
    return wanted.min_proto <= (tuple_.sport if source else tuple_.dport) <= wanted.max_proto


def _current_mapping(ctx: HookContext, conn: Conn, original: ConntrackTuple, wanted: NatRange) -> ConntrackTuple | None:
    """find_appropriate_src(): the mapping another connection of the same source already has. Only connections this walk
    knows are searched: the kernel's by-source list cannot be asked without dumping the table. It matters only when that
    mapping's port differs from the source port, that is after an earlier clash."""
    for other in ctx.services.conns.values():
        if (isinstance(other, Conn) and other is not conn and other.confirmed and other.netns == ctx.ns.id
                and other.zone == conn.zone and other.orig.proto == original.proto and other.orig.src == original.src
                and other.orig.sport == original.sport):
            seen = invert(other.reply)
            if seen is not None:
                result = original._replace(src=seen.src, sport=seen.sport)
                if _in_range(ctx, result, wanted):
                    return result
    return None


def _words(address: bytes) -> list[int]:
    """union nf_inet_addr as four words of the machine's byte order (as jhash2 reads memory), zero-padded for IPv4."""
    padded = address.ljust(16, b"\0")
    return [int.from_bytes(padded[at:at + 4], sys.byteorder) for at in range(0, 16, 4)]


def _choose_address(original: ConntrackTuple, wanted: NatRange, zone: int, source: bool) -> ConntrackTuple:
    """find_best_ips_proto(): the only address, or one of a range by a hash of source and destination (of the source
    alone with --persistent)."""
    if not wanted.flags & MAP_IPS or wanted.min_addr is None:
        return original
    low, high = wanted.min_addr, wanted.max_addr or wanted.min_addr
    if low == high:
        address = low
    else:
        persistent = bool(wanted.flags & PERSISTENT)
        last = len(low) // 4 - 1
        # The words of the destination as it stands: choosing a destination overwrites them while hashing goes on.
        destination = _words(original.dst)
        hashed = jhash2(_words(original.src), 0 if persistent else destination[last] ^ zone)
        picked = b""
        full_range = False
        for at in range(last + 1):
            if full_range:
                base, distance = 0, 0xFFFFFFFF
            else:
                base = int.from_bytes(low[at * 4:at * 4 + 4], "big")
                distance = (int.from_bytes(high[at * 4:at * 4 + 4], "big") - base + 1) & 0xFFFFFFFF
            word = (base + (hashed * distance >> 32)) & 0xFFFFFFFF
            piece = word.to_bytes(4, "big")
            picked += piece
            if piece != high[at * 4:at * 4 + 4]:
                full_range = True
            if not persistent:
                hashed ^= destination[at] if source else int.from_bytes(piece, sys.byteorder)
        address = picked
    return original._replace(src=address) if source else original._replace(dst=address)


def _choose_port(ctx: HookContext, conn: Conn, chosen: ConntrackTuple, wanted: NatRange, source: bool) -> Choice:
    """nf_nat_l4proto_unique_tuple(): a free port, drawn at random for source NAT; destination NAT to a range starts at
    its lowest port since v6.8 ("nat: restore default DNAT behavior"), with an offset where the rule shifts ports."""
    icmp = chosen.proto in _ICMP
    if icmp:
        low, size = 0, 65536
        if wanted.flags & PROTO_SPECIFIED:
            low, size = wanted.min_proto, wanted.max_proto - wanted.min_proto + 1
    elif chosen.proto == IPPROTO_GRE or not has_ports(ctx.ns, chosen.proto):
        return Choice(chosen, False)
    elif wanted.flags & PROTO_SPECIFIED:
        low, high = sorted((wanted.min_proto, wanted.max_proto))
        size = high - low + 1
    else:
        if not source:
            return Choice(chosen, False)
        low, size = (1, 511) if chosen.sport < 512 else (600, 424) if chosen.sport < 1024 else (1024, 64512)
    by_source = source or icmp
    current = chosen.sport if by_source else chosen.dport

    def with_port(port: int) -> ConntrackTuple:
        return chosen._replace(sport=port) if by_source else chosen._replace(dport=port)

    if size == 1:
        only = with_port(low)
        return Choice(only, False, _taken(ctx, conn, only, 1))
    if wanted.flags & PROTO_OFFSET:
        offset = (current - wanted.base_proto) & 0xFFFF
    elif wanted.flags & RANDOM_ALL or source:
        # Drawn by get_random_u16(): any port of the range. The lowest free one stands for it.
        for step in range(min(size, _MAX_ATTEMPTS)):
            candidate = with_port(low + step)
            if not _taken(ctx, conn, candidate, min(size, _MAX_ATTEMPTS) - step):
                return Choice(candidate, True)
        return Choice(with_port(low), True, size <= _MAX_ATTEMPTS)
    else:
        offset = 0
    for step in range(min(size, _MAX_ATTEMPTS)):
        candidate = with_port(low + (offset + step) % size)
        if not _taken(ctx, conn, candidate, min(size, _MAX_ATTEMPTS) - step):
            return Choice(candidate, False)
    return Choice(candidate, size > _MAX_ATTEMPTS, size <= _MAX_ATTEMPTS)


def _taken(ctx: HookContext, conn: Conn, tuple_: ConntrackTuple, left: int) -> bool:
    """nf_nat_used_tuple_harder() (v6.7): among the last attempts, a TCP connection that is over makes room for a new one whose
    sequence numbers are ahead of its own."""
    answer = invert(tuple_)
    if answer is None or not taken(ctx.services.conns, ctx.ns, answer, conn):
        return False
    found = find(ctx.services.conns, ctx.ns, zone_of(conn, True), answer)
    if left > _HARDER or tuple_.proto != IPPROTO_TCP or conn.tcp_state != SYN_SENT or found is None:
        return True
    other, reply = found
    if not reply or (other.tcp_state or 0) < TIME_WAIT or not other.status & IPS_SRC_NAT or other.status & IPS_FIXED_TIMEOUT:
        return True
    condition = Unknown("the SYN's sequence number is ahead of those of the closed connection that still has its port")
    if not ctx.services.decide(condition, ("harder", ctx.ns.id, answer)):
        return True
    kill(other)
    return False
