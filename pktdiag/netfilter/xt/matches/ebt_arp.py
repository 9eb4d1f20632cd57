"""ebtables arp: fields of a bridged ARP frame. net/bridge/netfilter/ebt_arp.c: ebt_arp_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import Arp, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang, be16, mac_text, mask_suffix, masked

OPCODE, HTYPE, PTYPE, SRC_IP, DST_IP, SRC_MAC, DST_MAC, GRAT = (1 << bit for bit in range(8))
OPCODES = ("Request", "Reply", "Request_Reverse", "Reply_Reverse", "DRARP_Request", "DRARP_Reply", "DRARP_Error", "InARP_Request",
           "ARP_NAK")


class EbtArp(NamedTuple):
    """struct ebt_arp_info; (value, mask) pairs."""

    htype: int
    ptype: int
    opcode: int
    src: tuple[bytes, bytes]
    dst: tuple[bytes, bytes]
    src_mac: tuple[bytes, bytes]
    dst_mac: tuple[bytes, bytes]
    bitmask: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> EbtArp:
    saddr, smsk, daddr, dmsk, smac, smmsk, dmac, dmmsk, bitmask, inv = unpack_from("=4s4s4s4s6s6s6s6sBB", data, 8)
    return EbtArp(be16(data, 0), be16(data, 2), be16(data, 4), (saddr, smsk), (daddr, dmsk), (smac, smmsk), (dmac, dmmsk), bitmask, inv)


def evaluate(info: EbtArp, ctx: HookContext) -> Tri:
    arp, bits, inv = ctx.skb.arp, info.bitmask, info.invflags
    if not isinstance(arp, Arp):
        return False
    for flag, equal in ((OPCODE, arp.op == info.opcode), (HTYPE, info.htype == 1), (PTYPE, info.ptype == 0x0800),
                        (SRC_IP, masked(arp.sender, info.src[1]) == int.from_bytes(info.src[0], "big")),
                        (DST_IP, masked(arp.target, info.dst[1]) == int.from_bytes(info.dst[0], "big")), (GRAT, arp.sender == arp.target),
                        (SRC_MAC, masked(arp.sender_mac, info.src_mac[1]) == masked(*info.src_mac)),
                        (DST_MAC, masked(arp.target_mac, info.dst_mac[1]) == masked(*info.dst_mac))):
        if bits & flag and equal == bool(inv & flag):
            return False
    return True


def render(info: EbtArp, family: int) -> str:
    name = OPCODES[info.opcode - 1] if 1 <= info.opcode <= len(OPCODES) else str(info.opcode)
    parts = []
    for flag, option, value in ((OPCODE, "arp-op", name), (HTYPE, "arp-htype", f"{info.htype}"), (PTYPE, "arp-ptype", f"{info.ptype:#x}"),
                                (SRC_IP, "arp-ip-src", f"{format_address(info.src[0])}{mask_suffix(info.src[1])}"),
                                (DST_IP, "arp-ip-dst", f"{format_address(info.dst[0])}{mask_suffix(info.dst[1])}"),
                                (SRC_MAC, "arp-mac-src", mac_text(*info.src_mac)), (DST_MAC, "arp-mac-dst", mac_text(*info.dst_mac))):
        if info.bitmask & flag:
            parts.append(f"--{option} {bang(info.invflags & flag)}{value}")
    if info.bitmask & GRAT:
        parts.append(f"{bang(info.invflags & GRAT)}--arp-gratuitous")
    return " ".join(parts)
