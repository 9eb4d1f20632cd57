"""Whether a transport checksum looks right to netfilter: nf_ip_checksum(), nf_ip6_checksum() (net/netfilter/utils.c)."""

from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import HookContext, Skb, Unknown

VERIFIED = Unknown("the device it came in through has verified the packet's checksum itself, in the place of netfilter")
KEY = ("checksum",)
"""One answer for the whole walk."""


def doubtful(skb: Skb) -> bool:
    """Whether the checksum of a packet that has a right one seems wrong, unless the device has verified it: in a piece of a datagram,
    where options were written into, whose header checksum has not followed, and with segments left in a routing header."""
    packet = skb.packet
    if packet.more_fragments or packet.fragment_offset or "options written" in skb.extra:
        return True
    if not packet.ext_headers:
        return False
    from pktdiag.model.exthdr import goes_on

    return goes_on(packet)


def conntrack_looks(ns: NamespaceView) -> bool:
    """Whether connection tracking here looks at checksums at all (in PRE_ROUTING)."""
    return ns.sysctl("net/netfilter/nf_conntrack_checksum") != "0"


def wrong(ctx: HookContext) -> bool:
    """What the walk decides on."""
    return doubtful(ctx.skb) and not ctx.services.decide(VERIFIED, KEY)
