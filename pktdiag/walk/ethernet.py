"""Ethernet frames: who they are for, and how long they are.

Sources: include/linux/etherdevice.h (eth_skb_pkt_type, is_link_local_ether_addr), include/net/ip.h (ip_eth_mc_map),
include/net/if_inet6.h (ipv6_eth_mc_map), include/linux/netdevice.h (__is_skb_forwardable).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    ARPHRD_ETHER,
    ARPHRD_LOOPBACK,
    ETH_P_ARP,
    PACKET_BROADCAST,
    PACKET_HOST,
    PACKET_MULTICAST,
    PACKET_OTHERHOST,
)
from pktdiag.netfilter.context import Skb

BROADCAST = b"\xff" * 6
ETH_HLEN = 14
VLAN_HLEN = 4
ARP_LENGTH = 28


def has_header(dev: Link) -> bool:
    """Whether the device puts an Ethernet header in front (dev->header_ops): tun, wireguard and the IP tunnels do not."""
    return dev.type in (ARPHRD_ETHER, ARPHRD_LOOPBACK)


def is_multicast(mac: bytes) -> bool:
    """Group bit; broadcast included."""
    return bool(mac and mac[0] & 1)


def is_link_local(mac: bytes) -> bool:
    """01:80:c2:00:00:0X, never forwarded by a bridge unless told so."""
    return mac[:5] == b"\x01\x80\xc2\0\0" and mac[5] & 0xF0 == 0


def packet_type(dev: Link, mac: bytes) -> int:
    """eth_skb_pkt_type(): PACKET_* of a frame for ``mac`` that reached ``dev``."""
    if not mac or mac == dev.mac:
        return PACKET_HOST
    if mac[0] & 1:
        return PACKET_BROADCAST if mac == BROADCAST else PACKET_MULTICAST
    return PACKET_OTHERHOST


def multicast_mac(group: bytes) -> bytes:
    """The Ethernet group an IP group maps to."""
    if len(group) == 4:
        return bytes((1, 0, 0x5E, group[1] & 0x7F, group[2], group[3]))
    return b"\x33\x33" + group[12:]


def length(skb: Skb) -> int:
    """skb->len at the device: payload plus Ethernet header; a VLAN tag rides outside (hardware-accelerated)."""
    return (ARP_LENGTH if skb.ethertype == ETH_P_ARP else skb.packet.length) + ETH_HLEN


def forwardable(dev: Link, skb: Skb) -> bool:
    """__is_skb_forwardable(): the device is up and the frame fits it, with room for one VLAN tag."""
    return dev.up and length(skb) <= dev.mtu + (ETH_HLEN if has_header(dev) else 0) + VLAN_HLEN


def text(mac: bytes) -> str:
    return mac.hex(":")
