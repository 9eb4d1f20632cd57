"""conntrack: state, status, tuples, expiry, direction. net/netfilter/xt_conntrack.c: conntrack_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Conn, CtState, HookContext, Tri, Unknown, attached
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, be16, inet, mask_suffix, masked, port_range
from pktdiag.netfilter.xt.matches.state import state_bit

(STATE, PROTO, ORIGSRC, ORIGDST, REPLSRC, REPLDST, STATUS, EXPIRES, ORIGSRC_PORT, ORIGDST_PORT, REPLSRC_PORT, REPLDST_PORT,
 DIRECTION, STATE_ALIAS) = (1 << bit for bit in range(14))
SNAT, DNAT, UNTRACKED = 1 << 6, 1 << 7, 1 << 8
IPS_SRC_NAT, IPS_DST_NAT = 0x10, 0x20
STATES = ((1, "INVALID"), (8, "NEW"), (4, "RELATED"), (2, "ESTABLISHED"), (UNTRACKED, "UNTRACKED"), (SNAT, "SNAT"), (DNAT, "DNAT"))
STATUSES = ((1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED"))
ADDRESSES = ((ORIGSRC, "ctorigsrc"), (ORIGDST, "ctorigdst"), (REPLSRC, "ctreplsrc"), (REPLDST, "ctrepldst"))
PORTS = ((ORIGSRC_PORT, "ctorigsrcport"), (ORIGDST_PORT, "ctorigdstport"), (REPLSRC_PORT, "ctreplsrcport"),
         (REPLDST_PORT, "ctrepldstport"))


class Conntrack(NamedTuple):
    """struct xt_conntrack_mtinfo1..3, ports in host order."""

    addresses: tuple[tuple[bytes, bytes], ...]
    """(address, mask) of original source, original destination, reply source, reply destination."""
    expires: tuple[int, int]
    proto: int
    ports: tuple[tuple[int, int], ...]
    flags: int
    invert: int
    states: int
    status: int


def decode(rev: int, data: bytes, family: int) -> Conntrack:
    if rev not in (1, 2, 3):
        raise UnknownRevisionError
    addresses = tuple((inet(data, 32 * i, family), inet(data, 32 * i + 16, family)) for i in range(4))
    low, high, proto = unpack_from("=IIH", data, 128)
    if rev == 3:
        low_ports = unpack_from("=4H", data, 138)
        flags, invert, states, status, *high_ports = unpack_from("=HHHH4H", data, 146)
        ports = tuple(zip(low_ports, high_ports))
    else:
        ports = tuple((be16(data, 138 + 2 * i),) * 2 for i in range(4))
        flags, invert, states, status = unpack_from("=HHBB" if rev == 1 else "=HHHH", data, 146)
    return Conntrack(addresses, (low, high), proto, ports, flags, invert, states, status)


def evaluate(info: Conntrack, ctx: HookContext) -> Tri:
    (ct, ctinfo), flags, invert = attached(ctx.skb), info.flags, info.invert
    if flags & STATE:
        bits = state_bit(ctx, UNTRACKED)
        if ct is not None:
            bits |= (SNAT if ct.status & IPS_SRC_NAT else 0) | (DNAT if ct.status & IPS_DST_NAT else 0)
        if bool(info.states & bits) == bool(invert & STATE):
            return False
    if ct is None or ctinfo is None:
        return bool(flags & STATE)
    if flags & DIRECTION and (ctinfo <= CtState.NEW) == bool(invert & DIRECTION):
        return False
    held = (ct.orig.src, ct.orig.dst, ct.reply.src, ct.reply.dst)
    for (flag, _), address, (wanted, mask) in zip(ADDRESSES, held, info.addresses):
        if flags & flag and (len(address) == len(wanted) and masked(address, mask) == masked(wanted, mask)) == bool(invert & flag):
            return False
    if flags & PROTO and (ct.orig.proto == info.proto) == bool(invert & PROTO):
        return False
    for (flag, _), port, (low, high) in zip(PORTS, (ct.orig.sport, ct.orig.dport, ct.reply.sport, ct.reply.dport), info.ports):
        if flags & flag and (low <= port <= high) == bool(invert & flag):
            return False
    if flags & STATUS and bool(info.status & ct.status) == bool(invert & STATUS):
        return False
    return _expiry(info, ct) if flags & EXPIRES else True


def _expiry(info: Conntrack, ct: Conn) -> Tri:
    """Only a confirmed connection has a timer; an unconfirmed one's holds its timeout in jiffies, which reads as anything."""
    if ct.entry is None or ct.entry.timeout is None or "walked" in ct.extra:  # the packet set the timer anew
        return Unknown(f"the connection's remaining lifetime lies in {info.expires[0]}:{info.expires[1]} seconds")
    return (info.expires[0] <= ct.entry.timeout <= info.expires[1]) != bool(info.invert & EXPIRES)


def alias(info: Conntrack) -> str:
    return "state" if info.flags & STATE_ALIAS else "conntrack"


def render(info: Conntrack, family: int) -> str:
    flags, invert = info.flags, info.invert
    parts = []
    if flags & STATE:
        option = "state" if flags & STATE_ALIAS else "ctstate"
        parts.append(f"{bang(invert & STATE)}--{option} " + ",".join(name for bit, name in STATES if info.states & bit))
    if flags & PROTO:
        parts.append(f"{bang(invert & PROTO)}--ctproto {info.proto}")
    for (flag, option), (address, mask) in zip(ADDRESSES, info.addresses):
        if flags & flag:
            parts.append(f"{bang(invert & flag)}--{option} {format_address(address)}{mask_suffix(mask)}")
    for (flag, option), ports in zip(PORTS, info.ports):
        if flags & flag:
            parts.append(f"{bang(invert & flag)}--{option} {port_range(*ports)}")
    if flags & STATUS:
        names = ",".join(name for bit, name in STATUSES if info.status & bit) or "NONE"
        parts.append(f"{bang(invert & STATUS)}--ctstatus {names}")
    if flags & EXPIRES:
        parts.append(f"{bang(invert & EXPIRES)}--ctexpire {port_range(*info.expires)}")
    if flags & DIRECTION:
        parts.append("--ctdir REPLY" if invert & DIRECTION else "--ctdir ORIGINAL")
    return " ".join(parts)
