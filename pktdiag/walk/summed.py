"""UDP over IPv6 whose header a rule changed behind connection tracking: it is taken for damaged.

Conntrack adds up the checksum of what the device has not verified, and leaves the sum in the packet (nf_ip6_checksum(),
__skb_checksum_complete(): CHECKSUM_COMPLETE). What rules write into the IPv6 header afterwards (nft's ``ip6 dscp|hoplimit|flowlabel set``,
DSCP, TOS, HL) is not added to it; taking the header off again then leaves a wrong sum, by which UDP goes where it is too long to be added
up anew (CHECKSUM_BREAK). IPv4 headers add up to nothing, TCP and ICMPv6 count once more.

Sources: include/linux/skbuff.h (__skb_checksum_validate_complete), net/ipv6/ip6_checksum.c (udp6_csum_init), net/netfilter/nft_payload.c.
"""

from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter import checksum
from pktdiag.netfilter.context import SUMMED, Skb, Unknown
from pktdiag.walk.state import Walk

CHECKSUM_BREAK = 76


def spoiled(walk: Walk, ns: NamespaceView, skb: Skb) -> bool:
    """Whether udp6_csum_init() finds the sum wrong."""
    packet, noted = skb.packet, skb.extra.get(SUMMED)
    if not isinstance(noted, tuple) or noted[0] != ns.id or packet.length - packet.header_length <= CHECKSUM_BREAK or \
            not checksum.conntrack_looks(ns):
        return False
    if noted[1:] == (packet.tos, packet.ttl):
        label = Unknown("a rule changed the packet's flow label, which was another one before")
        if "flow label written" not in skb.extra or not walk.decide(label, ("flow label", ns.id)):
            return False
    question = walk.question
    if walk.memory.get("replying") or (question.ingress is None and not question.header_included):
        return False  # a socket's own packet leaves its sum to the device (CHECKSUM_PARTIAL)
    return question.header_included or not walk.decide(checksum.VERIFIED, checksum.KEY)
