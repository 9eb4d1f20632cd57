"""TPROXY: hands the packet to a local transparent socket. net/netfilter/xt_TPROXY.c: tproxy_tg4, tproxy_tg6_v1."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET, AF_INET6
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, be16, inet

IFA_F_SECONDARY, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x01, 0x20, 0x40


class Tproxy(NamedTuple):
    """struct xt_tproxy_target_info / _v1."""

    mask: int
    value: int
    address: bytes
    """All zeroes: the receiving device's own address."""
    port: int
    """0: the packet's own destination port."""


def decode(rev: int, data: bytes, family: int) -> Tproxy:
    mask, value = unpack_from("=II", data)
    if rev == 0:
        return Tproxy(mask, value, unpack_from("=II4s", data)[2], be16(data, 12))
    if rev != 1:
        raise UnknownRevisionError
    return Tproxy(mask, value, inet(data, 8, family), be16(data, 24))


def _own_address(ctx: HookContext) -> bytes:
    """nf_tproxy_laddr4 / nf_tproxy_laddr6 (net/ipv{4,6}/netfilter/nf_tproxy_ipv{4,6}.c): the device's first usable address,
    else the packet's destination."""
    wanted = ctx.skb.packet.dst
    if ctx.indev is not None:
        family = AF_INET if len(wanted) == 4 else AF_INET6
        unfit = IFA_F_SECONDARY if family == AF_INET else IFA_F_TENTATIVE | IFA_F_DEPRECATED
        for address in ctx.ns.addresses(family):
            if address.ifindex == ctx.indev.ifindex and not address.flags & unfit:
                return address.local
    return wanted


def evaluate(info: Tproxy, ctx: HookContext, rule: RuleRef | None) -> HookResult | Unknown | None:
    address = info.address if any(info.address) else _own_address(ctx)
    port = info.port or ctx.skb.packet.dport
    sock = ctx.services.tproxy_lookup(ctx, address, port)
    if isinstance(sock, Unknown):
        return sock
    if sock is None or not sock.transparent:
        why = "no socket listens" if sock is None else "the socket is not transparent (IP_TRANSPARENT)"
        return HookResult("drop", "NETFILTER_DROP", rule, f"dropped by TPROXY: {why} at {format_address(address)} port {port}",
                          cause="tproxy-no-socket")
    ctx.skb.mark = ctx.skb.mark & ~info.mask & 0xFFFFFFFF ^ info.value
    ctx.skb.tproxy_sock = sock
    return ACCEPT


def render(info: Tproxy, family: int) -> str:
    return f"--on-port {info.port} --on-ip {format_address(info.address)} --tproxy-mark {info.value:#x}/{info.mask:#x}"
