"""SNPT: stateless IPv6 prefix translation of the source. net/ipv6/netfilter/ip6t_NPT.c: ip6t_snpt_tg.

It writes the address where it stands, without skb_ensure_writable(): the other copies of a flooded frame are translated with this one,
and a rule that looks for the old prefix meets the first of them only.
"""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_ICMPV6
from pktdiag.model.packet import Packet, format_address, in_prefix, prefix_mask
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError


class Npt(NamedTuple):
    """struct ip6t_npt_tginfo; the adjustment is computed as ip6t_npt_checkentry does."""

    src: bytes
    dst: bytes
    src_len: int
    dst_len: int


def decode(rev: int, data: bytes, family: int) -> Npt:
    if rev != 0:
        raise UnknownRevisionError
    npt = Npt(*unpack_from("=16s16sBB", data))
    if npt.src_len > 64 or npt.dst_len > 64:
        raise ValueError("NPT")
    return npt


def _fold(value: int) -> int:
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def _sum(address: bytes) -> int:
    return _fold(sum(address[at] << 8 | address[at + 1] for at in range(0, 16, 2)))


def translate(info: Npt, address: bytes) -> bytes | None:
    """ip6t_npt_map_pfx: new prefix bits, and the 16-bit word behind them adjusted so that no checksum changes. None: not possible.

    One's complement sums do not depend on byte order, so network order serves."""
    length = max(info.src_len, info.dst_len)
    mask = prefix_mask(length, 128)
    value = int.from_bytes(address, "big") & ~mask & (1 << 128) - 1 | int.from_bytes(info.dst, "big") & mask
    new = bytearray(value.to_bytes(16, "big"))
    adjustment = _fold(_sum(info.src) + (~_sum(info.dst) & 0xFFFF))
    if length <= 48:
        at = 6
    else:
        at = next((2 * i for i in range(4, 8) if new[2 * i:2 * i + 2] != b"\xff\xff"), 16)
        if at == 16:
            return None
    word = _fold((new[at] << 8 | new[at + 1]) + adjustment)
    new[at:at + 2] = (0 if word == 0xFFFF else word).to_bytes(2, "big")
    return bytes(new)


def evaluate(info: Npt, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    new = translate(info, ctx.skb.packet.src)
    if new is None:
        return HookResult("drop", "NETFILTER_DROP", rule, "SNPT cannot translate this source address", "icmpv6 parameter problem", "npt")
    ctx.skb.overwrite(with_quoted(info, ctx.skb.packet._replace(src=new), source=False))
    return None


def with_quoted(info: Npt, packet: Packet, *, source: bool) -> Packet:
    """icmpv6_bounced_ipv6hdr(): one address of what an ICMPv6 error quotes is translated, too (since Linux 5.9)."""
    inner = packet.inner
    if inner is None or packet.proto != IPPROTO_ICMPV6 or packet.icmp_type >= 128:
        return packet
    address = inner.src if source else inner.dst
    new = translate(info, address) if in_prefix(address, info.src, info.src_len) else None
    if new is None:
        return packet
    return packet._replace(inner=inner._replace(src=new) if source else inner._replace(dst=new))


def render(info: Npt, family: int) -> str:
    return f"--src-pfx {format_address(info.src)}/{info.src_len} --dst-pfx {format_address(info.dst)}/{info.dst_len}"
