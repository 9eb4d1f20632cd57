"""Whether a transport checksum looks right to netfilter: nf_ip_checksum(), nf_ip6_checksum() (net/netfilter/utils.c)."""

from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import HookContext, Skb, Unknown

VERIFIED = Unknown("the device it came in through has verified the packet's checksum itself, in the place of netfilter")
ZEROES = Unknown("what its later fragments carry adds up to nothing, as zeroes do, so that the checksum fits the first one alone")
KEY = ("checksum",)
"""One answer for the whole walk."""


def doubtful(skb: Skb) -> bool:
    """Whether the checksum of a packet that has a right one seems wrong, unless the device has verified it: in a piece of a datagram,
    where options were written into, whose header checksum has not followed, and with segments left in a routing header."""
    packet = skb.packet
    if packet.is_fragment or "options written" in skb.extra:
        return True
    if not packet.ext_headers:
        return False
    from pktdiag.model.exthdr import goes_on

    return goes_on(packet)


def conntrack_looks(ns: NamespaceView) -> bool:
    """Whether connection tracking here looks at checksums at all (in PRE_ROUTING)."""
    return ns.sysctl("net/netfilter/nf_conntrack_checksum") != "0"


def own_piece(skb: Skb) -> bool:
    """A fragment that this host has cut: no device that it comes through here verifies any checksum (ip_frag_next, ip_fraglist_prepare:
    CHECKSUM_NONE)."""
    return "piece" in skb.extra and skb.packet.is_fragment


def wrong(ctx: HookContext) -> bool:
    """What the walk decides on."""
    return doubtful(ctx.skb) and (own_piece(ctx.skb) or not ctx.services.decide(VERIFIED, KEY))
