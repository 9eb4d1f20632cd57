"""ECN: removes or sets congestion notification bits. net/ipv4/netfilter/ipt_ECN.c: ecn_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_TCP, TCP_CWR, TCP_ECE
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

SET_IP, SET_ECE, SET_CWR = 0x01, 0x10, 0x20


class Ecn(NamedTuple):
    """struct ipt_ECN_info."""

    operation: int
    ect: int
    ece: bool
    cwr: bool


def decode(rev: int, data: bytes, family: int) -> Ecn:
    if rev != 0:
        raise UnknownRevisionError
    operation, ect, tcp = unpack_from("=BBB", data)
    return Ecn(operation, ect, bool(tcp & 1), bool(tcp & 2))


def evaluate(info: Ecn, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    packet = ctx.skb.packet
    if info.operation & SET_IP:
        packet = packet._replace(tos=packet.tos & 0xFC | info.ect & 3)
    if packet.proto == IPPROTO_TCP:
        flags = packet.tcp_flags
        if info.operation & SET_ECE:
            flags = flags & ~TCP_ECE | (TCP_ECE if info.ece else 0)
        if info.operation & SET_CWR:
            flags = flags & ~TCP_CWR | (TCP_CWR if info.cwr else 0)
        packet = packet._replace(tcp_flags=flags)
    ctx.skb.packet = packet
    return None


def render(info: Ecn, family: int) -> str:
    if info.operation & SET_ECE and info.operation & SET_CWR and not info.ece and not info.cwr:
        return "--ecn-tcp-remove"
    parts = []
    if info.operation & SET_ECE:
        parts.append(f"--ecn-tcp-ece {int(info.ece)}")
    if info.operation & SET_CWR:
        parts.append(f"--ecn-tcp-cwr {int(info.cwr)}")
    if info.operation & SET_IP:
        parts.append(f"--ecn-ip-ect {info.ect}")
    return " ".join(parts)
