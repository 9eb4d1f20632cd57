"""socket: whether this host has a socket for the packet. net/netfilter/xt_socket.c: socket_match."""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError

TRANSPARENT, NOWILDCARD, RESTORE_SKMARK = 1, 2, 4


def decode(rev: int, data: bytes, family: int) -> int:
    """The flags; revision 0 has none."""
    if rev == 0:
        return 0
    if rev > 3:
        raise UnknownRevisionError
    return data[0]


def evaluate(info: int, ctx: HookContext) -> Tri:
    skb = ctx.skb
    sock = skb.sock if skb.sock is not None and skb.sock_ns == ctx.ns.id else ctx.services.socket_lookup(ctx)
    if isinstance(sock, Unknown):
        return sock
    if sock is None:
        return False
    # inet_rcv_saddr of a dual-stack AF_INET6 socket is 0 too
    any_address = not any(sock.local) or sock.local == b"\0" * 10 + b"\xff\xff" + b"\0" * 4
    wildcard = not info & NOWILDCARD and any_address
    transparent = not info & TRANSPARENT or sock.transparent
    if info & RESTORE_SKMARK and not wildcard and transparent and sock.full:
        skb.mark = sock.mark
    return not wildcard and transparent


def render(info: int, family: int) -> str:
    names = ((TRANSPARENT, "--transparent"), (NOWILDCARD, "--nowildcard"), (RESTORE_SKMARK, "--restore-skmark"))
    return " ".join(name for bit, name in names if info & bit)
