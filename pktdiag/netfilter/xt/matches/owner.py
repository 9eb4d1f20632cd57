"""owner: who holds the sending socket. net/netfilter/xt_owner.c: owner_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import OWNER_ASSUMED, HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

UID, GID, SOCKET, SUPPL_GROUPS = 1, 2, 4, 8


class Owner(NamedTuple):
    """struct xt_owner_match_info."""

    uid: tuple[int, int]
    gid: tuple[int, int]
    match: int
    invert: int


def decode(rev: int, data: bytes, family: int) -> Owner:
    if rev != 1:
        raise UnknownRevisionError
    uid_min, uid_max, gid_min, gid_max, match, invert = unpack_from("=4IBB", data)
    return Owner((uid_min, uid_max), (gid_min, gid_max), match, invert)


def evaluate(info: Owner, ctx: HookContext) -> Tri:
    """A socket of another namespace counts as none; a kernel socket has neither uid nor gid."""
    sock = ctx.skb.sock
    if sock is None or ctx.skb.sock_ns != ctx.ns.id:
        if ctx.skb.extra.get("kernel socket") != ctx.ns.id:
            return info.match ^ info.invert == 0
        # icmp_xmit_lock(), ip_send_unicast_reply(): a socket of the kernel's own, without a file behind it
        return not info.match & info.invert & SOCKET and not (info.match ^ info.invert) & (UID | GID)
    if info.match & info.invert & SOCKET:
        return False
    sender = ctx.skb.extra.get("uid") is not None
    if sender and "owner assumed" in ctx.skb.extra and info.match & (UID | GID):
        ctx.services.assume(OWNER_ASSUMED)
    if info.match & UID and (info.uid[0] <= sock.uid <= info.uid[1]) == bool(info.invert & UID):
        return False
    gid = ctx.skb.extra.get("gid") if sender else None
    within = isinstance(gid, int) and info.gid[0] <= gid <= info.gid[1]
    if info.match & GID and isinstance(gid, int) and (within or not info.match & SUPPL_GROUPS):
        return within != bool(info.invert & GID)
    if info.match & GID:
        return Unknown(f"the sending process {'does not run' if info.invert & GID else 'runs'} in group {_span(info.gid)}")
    return True


def _span(pair: tuple[int, int]) -> str:
    return f"{pair[0]}" if pair[0] == pair[1] else f"{pair[0]}-{pair[1]}"


def render(info: Owner, family: int) -> str:
    parts = []
    for bit, label, value in ((SOCKET, "--socket-exists", ""), (UID, "--uid-owner", f" {_span(info.uid)}"),
                              (GID, "--gid-owner", f" {_span(info.gid)}"), (SUPPL_GROUPS, "--suppl-groups", "")):
        if info.match & bit:
            parts.append(f"{bang(info.invert & bit)}{label}{value}")
    return " ".join(parts)
