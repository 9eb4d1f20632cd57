"""ecn: congestion notification bits of IP and TCP. net/netfilter/xt_ecn.c: ecn_mt4, ecn_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_TCP, TCP_CWR, TCP_ECE
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

MATCH_IP, MATCH_ECE, MATCH_CWR = 0x01, 0x10, 0x20


class Ecn(NamedTuple):
    """struct xt_ecn_info."""

    operation: int
    invert: int
    ect: int


def decode(rev: int, data: bytes, family: int) -> Ecn:
    if rev != 0:
        raise UnknownRevisionError
    return Ecn(*unpack_from("=BBB", data))


def evaluate(info: Ecn, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if info.operation & MATCH_IP and (packet.tos & 3 == info.ect) == bool(info.invert & MATCH_IP):
        return False
    for operation, bit in ((MATCH_ECE, TCP_ECE), (MATCH_CWR, TCP_CWR)):
        if info.operation & operation:
            if packet.proto != IPPROTO_TCP or packet.fragment_offset:
                return False
            if bool(packet.tcp_flags & bit) == bool(info.invert & operation):
                return False
    return True


def render(info: Ecn, family: int) -> str:
    parts = []
    for operation, text in ((MATCH_ECE, "--ecn-tcp-ece"), (MATCH_CWR, "--ecn-tcp-cwr"), (MATCH_IP, f"--ecn-ip-ect {info.ect}")):
        if info.operation & operation:
            parts.append(bang(info.invert & operation) + text)
    return " ".join(parts)
