"""The queue in front of a device. What fills or throttles it is not in the configuration, so only these are told apart:
queues that pass a lone packet, and disciplines that lose or hold packets by design.

Sources: net/sched/sch_generic.c, sch_netem.c, sch_tbf.c; net/core/dev.c (__dev_xmit_skb).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk.state import Walk

PASSING = frozenset(("", "noqueue", "pfifo_fast", "fq_codel", "fq", "mq", "pfifo", "bfifo", "pfifo_head_drop", "sfq", "cake", "cake_mq",
                     "prio", "mqprio", "multiq", "codel", "pie", "fq_pie", "skbprio", "htb", "hfsc", "drr", "qfq", "ets", "tbf"))
"""With room in the queue these send every packet, some of them later."""


def passes(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """__dev_xmit_skb(). False: it ended here."""
    kind = dev.qdisc
    if kind in PASSING:
        if kind not in ("", "noqueue"):
            walk.step(ns, "qdisc", dev, f"Queued on {dev.name} ({kind}); taken to have room.")
        return True
    if kind == "noop":
        walk.drop(ns, "qdisc", dev, skb, "QDISC_DROP", f"{dev.name} has the noop queue, which drops everything.", cause="noop-queue")
        return False
    if walk.decide(Unknown(f"the queueing discipline {kind} of {dev.name} lets it through"), ("qdisc", ns.id, dev.ifindex)):
        return True
    walk.drop(ns, "qdisc", dev, skb, "QDISC_DROP", f"The queueing discipline {kind} of {dev.name} drops it.", cause="qdisc")
    return False
