"""vxlan: a frame becomes the payload of a UDP packet to another tunnel end."""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk.state import Walk


def device_xmit(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """vxlan_xmit()"""
    walk.unsure(ns, "tunnel", dev, skb, f"what becomes of it inside the vxlan {dev.name}, whose outer packet is not followed yet")
