"""SYNPROXY: answers SYNs itself with cookies. net/ipv4/netfilter/ipt_SYNPROXY.c: synproxy_tg4; nf_synproxy_core.c."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_TCP, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter import checksum
from pktdiag.netfilter.context import COOKIE, HANDSHAKE, HookContext, HookResult, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError

MSS, WSCALE, SACK_PERM, TIMESTAMP, ECN = 1, 2, 4, 8, 0x10


class SynProxy(NamedTuple):
    """struct nf_synproxy_info."""

    options: int
    wscale: int
    mss: int


def decode(rev: int, data: bytes, family: int) -> SynProxy:
    if rev != 0:
        raise UnknownRevisionError
    return SynProxy(*unpack_from("=BBH", data))


def evaluate(info: SynProxy, ctx: HookContext, rule: RuleRef | None) -> HookResult | Unknown | None:
    """A SYN is answered with a SYN-ACK and goes no further; an ACK has to carry a cookie this kernel made."""
    packet = ctx.skb.packet
    if packet.proto != IPPROTO_TCP:
        return None
    if checksum.wrong(ctx):
        return HookResult("drop", "NETFILTER_DROP", rule)
    if packet.tcp_flags & TCP_SYN and not packet.tcp_flags & (TCP_ACK | TCP_FIN | TCP_RST):
        return HookResult("unknown", "", rule, HANDSHAKE)
    if packet.tcp_flags & TCP_ACK and not packet.tcp_flags & (TCP_FIN | TCP_RST | TCP_SYN):
        return HookResult("unknown", "", rule, COOKIE)
    return None


def render(info: SynProxy, family: int) -> str:
    parts = ["--sack-perm"] if info.options & SACK_PERM else []
    if info.options & TIMESTAMP:
        parts.append("--timestamp")
    if info.options & WSCALE:
        parts.append(f"--wscale {info.wscale}")
    if info.options & MSS:
        parts.append(f"--mss {info.mss}")
    if info.options & ECN:
        parts.append("--ecn")
    return " ".join(parts)
