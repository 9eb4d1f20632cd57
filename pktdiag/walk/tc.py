"""Traffic control filters and BPF programs at a device's ingress and egress: named, not modelled.

Sources: net/core/dev.c (sch_handle_ingress, sch_handle_egress, tcx_run), net/sched/cls_api.c.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk.state import Walk


def ingress(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """sch_handle_ingress(). False: it ended here."""
    return _run(walk, ns, dev, skb, "ingress", "TC_INGRESS")


def egress(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """sch_handle_egress(). False: it ended here."""
    return _run(walk, ns, dev, skb, "egress", "TC_EGRESS")


def _run(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, side: str, reason: str) -> bool:
    stage = f"tc-{side}"
    try:
        filters = list(ns.tc(dev.ifindex, side))
        filters += [text for text in ns.bpf_attached(dev.ifindex) if side in text]
    except Unreadable as error:
        filters = [f"filters that could not be read ({error.gap.why})"]
    if not filters:
        return True
    named = "; ".join(filters)
    walk.step(ns, stage, dev, f"tc {side} on {dev.name}: {named}; what they do is not modelled.")
    if walk.decide(Unknown(f"tc {side} on {dev.name} ({named}) lets it go on unchanged"), (stage, ns.id, dev.ifindex)):
        return True
    walk.drop(ns, stage, dev, skb, reason, f"tc {side} on {dev.name} ({named}) takes it.", cause="tc")
    return False
