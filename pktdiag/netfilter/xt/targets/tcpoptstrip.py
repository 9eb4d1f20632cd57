"""TCPOPTSTRIP: overwrites TCP options with NOPs. net/netfilter/xt_TCPOPTSTRIP.c: tcpoptstrip_mangle_packet."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


def decode(rev: int, data: bytes, family: int) -> frozenset[int]:
    """Option kinds."""
    if rev != 0:
        raise UnknownRevisionError
    words = unpack_from("=8I", data)
    return frozenset(bit for bit in range(256) if words[bit >> 5] >> (bit & 31) & 1)


def evaluate(info: frozenset[int], ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    packet = ctx.skb.packet
    if "tcp_options" in packet.unknown:
        return None
    options, at = bytearray(packet.tcp_options), 0
    while at < len(options):
        size = options[at + 1] if options[at] > 1 and at + 1 < len(options) and options[at + 1] else 1
        if options[at] in info and options[at] > 1:
            options[at:at + size] = b"\1" * min(size, len(options) - at)
        at += size
    ctx.skb.packet = packet._replace(tcp_options=bytes(options))
    return None


def render(info: frozenset[int], family: int) -> str:
    return "--strip-options " + ",".join(str(kind) for kind in sorted(info))
