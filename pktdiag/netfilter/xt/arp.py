"""arptables: an ARP rule's head, matched and written. net/ipv4/netfilter/arp_tables.c: arp_packet_match.

The text is arptables-nft's (iptables 1.8.9, iptables/nft-arp.c).
"""

from __future__ import annotations

from pktdiag.model.packet import Arp, format_address
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import bang, interface_matches, interface_text, mac_text, mask_suffix, masked
from pktdiag.netfilter.xt.blob import ArpHead, Head

(INV_VIA_IN, INV_VIA_OUT, INV_SRCIP, INV_TGTIP, INV_SRCDEVADDR, INV_TGTDEVADDR, INV_ARPOP, INV_ARPHRD, INV_ARPPRO,
 INV_ARPHLN) = (1 << bit for bit in range(10))
ARPHRD_ETHER, ETH_P_IP = 1, 0x0800
OPCODES = ("Request", "Reply", "Request_Reverse", "Reply_Reverse", "DRARP_Request", "DRARP_Reply", "DRARP_Error", "InARP_Request",
           "ARP_NAK")


def arp_matches(head: Head, ctx: HookContext) -> Tri:
    """Hardware type, protocol and lengths are Ethernet's and IPv4's: the only ARP this host's walk makes."""
    arp, wanted = ctx.skb.arp, head.arp
    if not isinstance(arp, Arp) or wanted is None:
        return Unknown("the ARP rule matches a frame whose ARP content is not known")
    inv = wanted.invflags
    numbers = ((wanted.op, arp.op, INV_ARPOP), (wanted.hrd, ARPHRD_ETHER, INV_ARPHRD), (wanted.pro, ETH_P_IP, INV_ARPPRO),
               (wanted.hln, 6, INV_ARPHLN))
    for (value, mask), actual, flag in numbers:
        if (actual & mask == value) == bool(inv & flag):
            return False
    macs = ((wanted.src_mac, arp.sender_mac, INV_SRCDEVADDR), (wanted.dst_mac, arp.target_mac, INV_TGTDEVADDR))
    for (mac, mac_mask), actual_mac, flag in macs:
        if (masked(actual_mac, mac_mask[:6]) == masked(mac[:6], mac_mask[:6])) == bool(inv & flag):
            return False
    if (masked(arp.sender, head.src_mask) == int.from_bytes(head.src, "big")) == bool(inv & INV_SRCIP):
        return False
    if (masked(arp.target, head.dst_mask) == int.from_bytes(head.dst, "big")) == bool(inv & INV_TGTIP):
        return False
    for device, pattern, pattern_mask, flag in ((ctx.indev, head.iniface, head.iniface_mask, INV_VIA_IN),
                                                (ctx.outdev, head.outiface, head.outiface_mask, INV_VIA_OUT)):
        if interface_matches(device.name if device else "", pattern, pattern_mask) == bool(inv & flag):
            return False
    return True


def arp_clauses(head: Head) -> list[tuple[str, str]]:
    """(option, text) of each part given."""
    arp: ArpHead | None = head.arp
    if arp is None:
        return []
    inv = arp.invflags
    clauses: list[tuple[str, str]] = []
    if head.iniface_mask[0]:
        clauses.append(("-i", f"{bang(inv & INV_VIA_IN)}-i {interface_text(head.iniface, head.iniface_mask)}"))
    if head.outiface_mask[0]:
        clauses.append(("-o", f"{bang(inv & INV_VIA_OUT)}-o {interface_text(head.outiface, head.outiface_mask)}"))
    if any(head.src_mask):
        clauses.append(("-s", f"{bang(inv & INV_SRCIP)}-s {format_address(head.src)}{mask_suffix(head.src_mask)}"))
    if any(arp.src_mac[1][:6]):
        clauses.append(("--src-mac", f"{bang(inv & INV_SRCDEVADDR)}--src-mac {mac_text(arp.src_mac[0][:6], arp.src_mac[1][:6])}"))
    if any(head.dst_mask):
        clauses.append(("-d", f"{bang(inv & INV_TGTIP)}-d {format_address(head.dst)}{mask_suffix(head.dst_mask)}"))
    if any(arp.dst_mac[1][:6]):
        clauses.append(("--dst-mac", f"{bang(inv & INV_TGTDEVADDR)}--dst-mac {mac_text(arp.dst_mac[0][:6], arp.dst_mac[1][:6])}"))
    if (arp.hln[1] and (arp.hln[0], arp.hln[1]) != (6, 255)) or (arp.hln[1] and inv & INV_ARPHLN):
        clauses.append(("--h-length", f"{bang(inv & INV_ARPHLN)}--h-length {arp.hln[0]}"))
    if arp.op[1]:
        clauses.append(("--opcode", f"{bang(inv & INV_ARPOP)}--opcode {arp.op[0]}"))
    if arp.hrd[1] and (arp.hrd[0] != ARPHRD_ETHER or inv & INV_ARPHRD):
        clauses.append(("--h-type", f"{bang(inv & INV_ARPHRD)}--h-type {arp.hrd[0]}"))
    if arp.pro[1]:
        clauses.append(("--proto-type", f"{bang(inv & INV_ARPPRO)}--proto-type {arp.pro[0]:#x}"))
    return clauses
