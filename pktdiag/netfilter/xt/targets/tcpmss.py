"""TCPMSS: lowers the MSS a SYN announces. net/netfilter/xt_TCPMSS.c: tcpmss_mangle_packet."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError
from pktdiag.netfilter.xt.matches.tcpmss import mss_option

CLAMP = 0xFFFF


def decode(rev: int, data: bytes, family: int) -> int:
    if rev != 0:
        raise UnknownRevisionError
    mss: int = unpack_from("=H", data)[0]
    return mss


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    """Never raises the value. Clamping needs the two path MTUs, which leaves the option's value unknown behind it."""
    packet = ctx.skb.packet
    if packet.fragment_offset or "tcp_options" in packet.unknown:
        return None
    header = packet.tcp_options
    old = mss_option(header)
    bare = packet.length == packet.header_length + 20 + len(header)  # no data behind
    grows = old is None and bare and len(header) < 40  # room for an option more
    if info == CLAMP:
        ctx.skb.packet = packet._replace(unknown=packet.unknown | {"tcp_options"}, length=packet.length + 4 * grows)
    elif old is not None and old > info:
        at = header.index(b"\x02\x04" + old.to_bytes(2, "big"))
        ctx.skb.packet = packet._replace(tcp_options=header[:at + 2] + info.to_bytes(2, "big") + header[at + 4:])
    elif grows:
        new = min(info, 536 if len(packet.dst) == 4 else 1220).to_bytes(2, "big")
        ctx.skb.packet = packet._replace(tcp_options=b"\x02\x04" + new + header, length=packet.length + 4)
    return None


def render(info: int, family: int) -> str:
    return "--clamp-mss-to-pmtu" if info == CLAMP else f"--set-mss {info}"
