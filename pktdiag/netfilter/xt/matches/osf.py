"""osf: a guess at the sender's system from its SYN. net/netfilter/xt_osf.c, nfnetlink_osf.c: nf_osf_match."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_TCP, TCP_SYN
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, text

GENRE, TTL, LOG, INVERT = 1, 2, 4, 8


class Osf(NamedTuple):
    """struct nf_osf_info."""

    genre: str
    flags: int
    loglevel: int
    ttl: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Osf:
    if rev != 0:
        raise UnknownRevisionError
    genre, _length, flags, loglevel, ttl = unpack_from("=32s4I", data)
    return Osf(text(genre), flags, loglevel, ttl, bool(flags & INVERT))


def evaluate(info: Osf, ctx: HookContext) -> Tri:
    """nf_osf_hdr_ctx_init(): only what has the SYN flag is looked at, a SYN-ACK, too. nf_osf_match() takes no notice of NF_OSF_INVERT: with
    and without "!" the rule matches the same packets. The fingerprints are the machine's; there are messages that add and remove one, and
    none that asks for them (nfnl_osf_callbacks)."""
    packet = ctx.skb.packet
    if packet.proto != IPPROTO_TCP or not packet.tcp_flags & TCP_SYN:
        return False
    return Unknown(f"the SYN looks like one of {info.genre}")


def render(info: Osf, family: int) -> str:
    parts = [f"{bang(info.invert)}--genre {info.genre}"]
    if info.flags & TTL:
        parts.append(f"--ttl {info.ttl}")
    if info.flags & LOG:
        parts.append(f"--log {info.loglevel}")
    return " ".join(parts)
