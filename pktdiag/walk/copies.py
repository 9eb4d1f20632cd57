"""Copies that rules send elsewhere (TEE, dup): each is followed on its own way, and none of them is the answer to the question.

Sources: net/ipv4/netfilter/nf_dup_ipv4.c (nf_dup_ipv4, nf_dup_ipv4_route), net/ipv6/netfilter/nf_dup_ipv6.c, net/netfilter/nf_dup_netdev.c
(nf_dup_netdev_egress).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING
from pktdiag.model.packet import format_address
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import CtState, HookContext, Skb
from pktdiag.walk import device, ip_output, route
from pktdiag.walk.state import Walk


def to_gateway(walk: Walk, ctx: HookContext, gateway: bytes, oif: int) -> None:
    """nf_dup_ipv4(), nf_dup_ipv6(): sent from here as it is, untracked, to the next hop ``gateway``; never a copy of a copy."""
    if walk.copying:
        return
    ns, skb = ctx.ns, _copy(ctx.skb)
    skb.ct, skb.ct_state, skb.sock = None, CtState.UNTRACKED, None
    packet = skb.packet._replace(df=True)  # its sender shall learn of a smaller MTU on this way
    if ctx.hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN):
        packet = packet._replace(ttl=packet.ttl - 1)
    skb.packet = packet
    decision = route.output(walk, ns, packet._replace(src=bytes(len(gateway)), dst=gateway, proto=0), oif=oif)
    out = ns.link(decision.oif) if decision.kind != "error" else None
    if out is None:
        walk.step(ns, "routing", None, f"The copy is not sent: {decision.text or 'there is no way'}.")
        return
    if decision.gateway is None:
        decision = decision._replace(gateway=gateway)  # FLOWI_FLAG_KNOWN_NH
    skb.route = decision
    walk.copying = True
    try:
        walk.step(ns, "routing", out, f"Sent out of {out.name} to {format_address(gateway)}.")
        walk.guarded(lambda: ip_output.local_out(walk, ns, skb, decision, out), ns, out, skb)
    finally:
        walk.copying = False


def out_of(walk: Walk, ns: NamespaceView, skb: Skb, out: Link) -> None:
    """nf_dup_netdev_egress(): the frame as it is."""
    if walk.copying:
        return
    walk.copying, frame = True, _copy(skb)
    try:
        walk.guarded(lambda: device.transmit(walk, ns, out, frame), ns, out, frame)
    finally:
        walk.copying = False


def _copy(skb: Skb) -> Skb:
    made = skb.copy()
    made.extra.pop("clones", None)  # pskb_copy(): with a header of its own
    made.extra["duplicate"] = True
    return made

