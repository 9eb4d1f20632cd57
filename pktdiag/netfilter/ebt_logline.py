"""The line the kernel log gets from a log watcher of ebtables. Source: net/bridge/netfilter/ebt_log.c (ebt_log_packet, print_ports)."""

from __future__ import annotations

from pktdiag.model.kernel import ETH_P_ARP, ETH_P_IP, ETH_P_IPV6
from pktdiag.model.packet import Packet, format_address
from pktdiag.netfilter.context import HookContext
from pktdiag.netfilter.logline import colons, full

EBT_LOG_IP, EBT_LOG_ARP, EBT_LOG_IP6 = 0x01, 0x02, 0x08


def line(ctx: HookContext, prefix: str, flags: int) -> str:
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
    from pktdiag.model.exthdr import chain

    return next((number for number, _ in chain(packet)), packet.proto)


def _ports(packet: Packet) -> list[str]:
    """print_ports(): IPv4 does not ask which part of its datagram a fragment is; IPv6's walk over the headers does."""
    if not packet.has_ports or (packet.fragment_offset and len(packet.dst) == 16):
        return []
    return ["SPT=? DPT=?"] if packet.fragment_offset else [f"SPT={packet.sport} DPT={packet.dport}"]
