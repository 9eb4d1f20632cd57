"""Lines of the kernel log about frames: ebtables' own form, and what is said of ARP.

Sources: net/bridge/netfilter/ebt_log.c (ebt_log_packet, print_ports), net/netfilter/nf_log_syslog.c (dump_arp_packet,
nf_log_dump_vlan).
"""

from __future__ import annotations

from pktdiag.model.kernel import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pktdiag.model.packet import Arp, Packet, format_address
from pktdiag.netfilter.context import HookContext, Skb

EBT_LOG_IP, EBT_LOG_ARP, EBT_LOG_IP6 = 0x01, 0x02, 0x08
MACDECODE = 0x20
_WITH_PORTS = frozenset((IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP, IPPROTO_DCCP))


def colons(data: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in data)


def full(address: bytes) -> str:
    """%pI6: all eight groups, four digits each."""
    return ":".join(address[at:at + 2].hex() for at in range(0, 16, 2))


def macs(skb: Skb) -> str:
    """The Ethernet header, decoded (NF_LOG_MACDECODE)."""
    tag = f"VPROTO={skb.vlan_proto:04x} VID={skb.vlan_tci} " if skb.vlan_tci is not None else ""
    return f"MACSRC={colons(skb.src_mac)} MACDST={colons(skb.dst_mac)} {tag}MACPROTO={skb.ethertype:04x}"


def arp_words(skb: Skb, arp: Arp, flags: int) -> list[str]:
    """An nft rule's words about an ARP packet."""
    return [*([macs(skb)] if flags & MACDECODE else []), f"ARP HTYPE=1 PTYPE=0x0800 OPCODE={arp.op}",
            f"MACSRC={colons(arp.sender_mac)} IPSRC={format_address(arp.sender)}",
            f"MACDST={colons(arp.target_mac)} IPDST={format_address(arp.target)}"]


def ebtables_line(ctx: HookContext, prefix: str, flags: int) -> str:
    """The text behind the log level; ``flags``: EBT_LOG_*."""
    skb, packet = ctx.skb, ctx.skb.packet
    words = [f"{prefix} IN={ctx.indev.name if ctx.indev else ''} OUT={ctx.outdev.name if ctx.outdev else ''}",
             f"MAC source = {colons(skb.src_mac)} MAC dest = {colons(skb.dst_mac)} proto = 0x{skb.ethertype:04x}"]
    arp = skb.arp
    if flags & EBT_LOG_ARP and skb.ethertype == ETH_P_ARP and arp is not None:
        words += [f"ARP HTYPE=1, PTYPE=0x0800, OPCODE={arp.op}",
                  f"ARP MAC SRC={colons(arp.sender_mac)} ARP IP SRC={format_address(arp.sender)}",
                  f"ARP MAC DST={colons(arp.target_mac)} ARP IP DST={format_address(arp.target)}"]
    elif flags & EBT_LOG_IP and skb.ethertype == ETH_P_IP:
        words += [f"IP SRC={format_address(packet.src)} IP DST={format_address(packet.dst)}, IP tos=0x{packet.tos:02X},",
                  f"IP proto={packet.proto}", *_ports(packet)]
    elif flags & EBT_LOG_IP6 and skb.ethertype == ETH_P_IPV6:
        words += [f"IPv6 SRC={full(packet.src)} IPv6 DST={full(packet.dst)}, IPv6 priority=0x{packet.tos >> 4:01X},",
                  f"Next Header={_next_header(packet)}", *_ports(packet)]
    return " ".join(words)


def _next_header(packet: Packet) -> int:
    if not (packet.ext_headers or packet.fragment_offset or packet.more_fragments):
        return packet.proto
    from pktdiag.model.exthdr import chain

    return chain(packet)[0][0]


def _ports(packet: Packet) -> list[str]:
    """print_ports(): IPv4 does not ask which part of its datagram a fragment is; IPv6's walk over the headers does."""
    if packet.proto not in _WITH_PORTS or (packet.fragment_offset and len(packet.dst) == 16):
        return []
    return ["SPT=? DPT=?"] if packet.fragment_offset else [f"SPT={packet.sport} DPT={packet.dport}"]
