"""Whether a transport checksum looks right to netfilter: nf_ip_checksum(), nf_ip6_checksum() (net/netfilter/utils.c)."""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Unknown


def wrong(ctx: HookContext) -> bool:
    """Of a packet whose checksum is right: wrong in a piece of a datagram, with segments left in a routing header, and where options
    were written into, whose header checksum has not followed; unless the device has verified it itself, which the walk is asked."""
    skb = ctx.skb
    packet = skb.packet
    if not (packet.more_fragments or packet.fragment_offset or packet.ext_headers or "options written" in skb.extra):
        return False
    from pktdiag.model.exthdr import CHECKSUM_VERIFIED, goes_on

    doubtful = packet.more_fragments or packet.fragment_offset or "options written" in skb.extra or goes_on(packet)
    return bool(doubtful) and not ctx.services.decide(Unknown(CHECKSUM_VERIFIED), ("checksum",))
