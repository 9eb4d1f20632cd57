"""tcp: ports, flags, options. net/netfilter/xt_tcpudp.c: tcp_mt, tcp_find_option."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, hotdrop, port_range, unknown_field

INV_SRCPT, INV_DSTPT, INV_FLAGS, INV_OPTION = 1, 2, 4, 8
FLAG_NAMES = ((1, "FIN"), (2, "SYN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG"))


class Tcp(NamedTuple):
    """struct xt_tcp."""

    spts: tuple[int, int]
    dpts: tuple[int, int]
    option: int
    flg_mask: int
    flg_cmp: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Tcp:
    if rev != 0:
        raise UnknownRevisionError
    s0, s1, d0, d1, option, mask, cmp, inv = unpack_from("=4H4B", data)
    return Tcp((s0, s1), (d0, d1), option, mask, cmp, inv)


def evaluate(info: Tcp, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        # offset 8 is the "overwrite the flags by a second fragment" attack (IPv6 counts in bytes, and never has 1)
        return hotdrop(ctx) if packet.fragment_offset == 8 and len(packet.dst) == 4 else False
    if (info.spts[0] <= packet.sport <= info.spts[1]) == bool(info.invflags & INV_SRCPT):
        return False
    if (info.dpts[0] <= packet.dport <= info.dpts[1]) == bool(info.invflags & INV_DSTPT):
        return False
    if (packet.tcp_flags & info.flg_mask == info.flg_cmp) == bool(info.invflags & INV_FLAGS):
        return False
    if info.option:
        unknown = unknown_field(packet, "tcp_options", f"the packet carries TCP option {info.option}")
        if unknown is not None:
            return unknown
        return has_option(packet.tcp_options, info.option) != bool(info.invflags & INV_OPTION)
    return True


def has_option(options: bytes, kind: int) -> bool:
    """tcp_find_option: walks kinds and lengths; a length of 0 steps one byte."""
    position = 0
    while position < len(options):
        if options[position] == kind:
            return True
        if options[position] < 2:
            position += 1
        else:
            position += (options[position + 1] if position + 1 < len(options) else 0) or 1
    return False


def flag_list(flags: int) -> str:
    names = [name for bit, name in FLAG_NAMES if flags & bit]
    return ",".join(names) if names else "NONE"


def render(info: Tcp, family: int) -> str:
    parts = []
    if info.spts != (0, 0xFFFF):
        parts.append(f"{bang(info.invflags & INV_SRCPT)}--sport {port_range(*info.spts)}")
    if info.dpts != (0, 0xFFFF):
        parts.append(f"{bang(info.invflags & INV_DSTPT)}--dport {port_range(*info.dpts)}")
    if info.option or info.invflags & INV_OPTION:
        parts.append(f"{bang(info.invflags & INV_OPTION)}--tcp-option {info.option}")
    if info.flg_mask or info.invflags & INV_FLAGS:
        parts.append(f"{bang(info.invflags & INV_FLAGS)}--tcp-flags {flag_list(info.flg_mask)} {flag_list(info.flg_cmp)}")
    return " ".join(parts)


