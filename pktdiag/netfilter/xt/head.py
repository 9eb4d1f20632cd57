"""Whether a packet meets a legacy entry's head: addresses, interfaces, protocol, fragment."""

from __future__ import annotations

from pktdiag.model.kernel import AF_INET
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import HookContext
from pktdiag.netfilter.xt.base import hotdrop, interface_matches, masked
from pktdiag.netfilter.xt.blob import Head
from pktdiag.netfilter.xt.render import INV_DSTIP, INV_FRAG, INV_PROTO, INV_SRCIP, INV_VIA_IN, INV_VIA_OUT


def _address(address: bytes, wanted: bytes, mask: bytes) -> bool:
    """IPv4 masks the packet's address only, IPv6 both (ipv6_masked_addr_cmp): host bits left in a rule never match in IPv4."""
    return masked(address, mask) == (int.from_bytes(wanted, "big") if len(wanted) == 4 else masked(wanted, mask))


def _nothing_found(packet: Packet) -> bool:
    """Whether ``-p`` finds no protocol: a later fragment of extension headers (ipv6_find_hdr), which is dropped for it."""
    from pktdiag.model.exthdr import last

    return last(packet, False) is None


def clause_matches(head: Head, option: str, ctx: HookContext, family: int) -> bool:
    """One part of the head on its own: ``option`` as ``render.prefix_clauses`` names it."""
    packet, inv = ctx.skb.packet, head.invflags
    if option == "-s":
        return _address(packet.src, head.src, head.src_mask) != bool(inv & INV_SRCIP)
    if option == "-d":
        return _address(packet.dst, head.dst, head.dst_mask) != bool(inv & INV_DSTIP)
    if option == "-i":
        name = ctx.indev.name if ctx.indev is not None else ""
        return interface_matches(name, head.iniface, head.iniface_mask) != bool(inv & INV_VIA_IN)
    if option == "-o":
        name = ctx.outdev.name if ctx.outdev is not None else ""
        return interface_matches(name, head.outiface, head.outiface_mask) != bool(inv & INV_VIA_OUT)
    if option == "-p":
        return (packet.proto == head.proto) != bool(inv & INV_PROTO)
    return (packet.fragment_offset != 0) != bool(inv & INV_FRAG)


def head_matches(head: Head, ctx: HookContext, family: int) -> bool:
    """ip_packet_match (net/ipv4/netfilter/ip_tables.c), ip6_packet_match (net/ipv6/netfilter/ip6_tables.c).

    An empty mask matches everything, so ``! -s 0.0.0.0/0`` never does: that falls out of the comparison itself.
    """
    packet, inv = ctx.skb.packet, head.invflags
    if _address(packet.src, head.src, head.src_mask) == bool(inv & INV_SRCIP):
        return False
    if _address(packet.dst, head.dst, head.dst_mask) == bool(inv & INV_DSTIP):
        return False
    if head.iniface_mask[0] or inv & INV_VIA_IN:
        if not clause_matches(head, "-i", ctx, family):
            return False
    if head.outiface_mask[0] or inv & INV_VIA_OUT:
        if not clause_matches(head, "-o", ctx, family):
            return False
    if head.proto_given and packet.fragment_offset and family != AF_INET and _nothing_found(packet):
        return hotdrop(ctx)
    if head.proto_given and head.proto:
        if (packet.proto == head.proto) == bool(inv & INV_PROTO):
            return False
    if family == AF_INET and (head.frag or inv & INV_FRAG):
        if head.frag and (packet.fragment_offset != 0) == bool(inv & INV_FRAG):
            return False
    return True
