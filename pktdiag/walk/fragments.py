"""A fragment that has reached the end of its way waits for the others of its datagram.

Sources: net/ipv4/ip_input.c (ip_local_deliver), net/ipv4/ip_fragment.c (ip_defrag), net/ipv6/reassembly.c (ipv6_frag_rcv).
"""

from __future__ import annotations

from pktdiag.model.exthdr import whole
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.netfilter.own_hooks import FIRST_DECIDES, OTHERS_ARRIVE, WAITS
from pktdiag.walk.state import Walk


def gathered(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, stage: str) -> bool:
    """True: from here on ``skb`` is the whole datagram. What a later fragment's is nobody knows who only has that one."""
    if "piece" in skb.extra:
        from pktdiag.walk import gathering

        return gathering.gathered(walk, ns, dev, skb, stage, "local")
    if skb.packet.family == AF_INET:
        walk.count(ns, "IpReasmReqds")
    if not walk.decide(Unknown(OTHERS_ARRIVE), ("defrag", ns.id)):
        walk.drop(ns, stage, dev, skb, "FRAG_REASM_TIMEOUT", f"{WAITS[0].upper()}{WAITS[1:]}.", cause="fragments-missing")
        return False
    if skb.packet.fragment_offset:
        walk.unsure(ns, stage, dev, skb, FIRST_DECIDES)
        return False
    skb.packet = whole(skb.packet)
    return True
