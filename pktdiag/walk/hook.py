"""One netfilter hook on the packet's way: the only place where the walk calls the rules (NF_HOOK, net/netfilter/core.c)."""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import NFPROTO_NETDEV, PACKET_LOOPBACK
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter import hooks
from pktdiag.netfilter.context import HookContext, HookResult, Skb
from pktdiag.walk import ethernet
from pktdiag.walk.services import services_of
from pktdiag.walk.state import Walk


def run_hook(walk: Walk, ns: NamespaceView, pf: int, hook: int, skb: Skb, indev: Link | None, outdev: Link | None,
             stage: str, *, low: int | None = None, high: int | None = None) -> bool:
    """Runs everything registered there. True: the packet goes on. False: it ended here and its fate is recorded.

    ``low`` and ``high`` bound the priorities: br_netfilter leaves a bridge hook in its middle and comes back into it."""
    skb.extra["nf_pf"], skb.extra["nf_hook"], skb.extra["nf_in"] = pf, hook, indev
    ctx = HookContext(services_of(walk), ns, pf, hook, skb, indev, outdev)
    device = indev or outdev
    try:
        if low is None and high is None:
            result = hooks.run(ctx)
        else:
            entries = hooks.entries_of(ctx, device.ifindex if device else 0)
            result = hooks.run_entries(ctx, [entry for entry in entries if (low is None or entry.priority >= low)
                                             and (high is None or entry.priority <= high)])
    except Unreadable as error:
        gap = error.gap
        remedy = f" ({gap.remedy})" if gap.remedy else ""
        walk.unsure(ns, stage, device, skb, f"{gap.what}, which could not be read: {gap.why}{remedy}")
        return False
    if result.action == "accept":
        return True
    if result.action == "drop":
        answer = None
        if result.answer:
            from pktdiag.walk import icmp

            if pf == NFPROTO_NETDEV and result.rule is not None and result.rule.family == "inet":
                from pktdiag.netfilter.own_hooks import as_inet

                ctx = as_inet(ctx)
            answer = icmp.netfilter_answer(walk, ctx, result.answer)
        walk.drop(ns, stage, device, skb, result.reason or "NETFILTER_DROP", result.text or "A netfilter rule drops it.",
                  rule=result.rule, cause=result.cause or "rule-drop", answer=answer)
    elif result.action == "queue":
        walk.unsure(ns, stage, device, skb, result.text or "what the program behind NFQUEUE decides")
    elif result.action == "unknown":
        walk.unsure(ns, stage, device, skb, result.text)
    elif "nft_fwd" in skb.extra:
        _forward_frame(walk, ns, stage, device, skb, result)
    elif not skb.extra.pop("stolen_ok", False):
        walk.drop(ns, stage, device, skb, result.reason, result.text or "A netfilter rule takes it away.", rule=result.rule,
                  cause=result.cause or "stolen")
    return False


def _forward_frame(walk: Walk, ns: NamespaceView, stage: str, device: Link | None, skb: Skb, result: HookResult) -> None:
    """nf_fwd_netdev_egress(), net/netfilter/nf_dup_netdev.c: the frame leaves through another device, headers as they are."""
    from pktdiag.walk import device as stage_of_device

    index = skb.extra.pop("nft_fwd")
    target = ns.link(index) if isinstance(index, int) else None
    if target is None:
        walk.drop(ns, stage, device, skb, "NOT_SPECIFIED", "The device a rule forwards the frame to is gone.", rule=result.rule,
                  cause="device-gone")
        return
    walk.step(ns, stage, device, f"A rule sends the frame out of {target.name}: {result.text}.", rule=result.rule)
    neighbour = skb.extra.pop("nft_fwd_to", None)
    if isinstance(neighbour, bytes):  # neigh_xmit()
        from pktdiag.walk import neighbour as link_layer

        link_layer.output(walk, ns, target, neighbour, skb)
        return
    if skb.pkt_type == PACKET_LOOPBACK and ethernet.has_header(target):
        # nf_do_netdev_egress() puts back mac_len bytes, and what dev_loopback_xmit() looped has no link header.
        walk.drop(ns, stage, target, skb, "UNHANDLED_PROTO", f"The packet was looped back without an Ethernet header, and {target.name} "
                  "sends it as it is: its first bytes are taken for one.", rule=result.rule, cause="headless-copy")
        return
    stage_of_device.transmit(walk, ns, target, skb)
