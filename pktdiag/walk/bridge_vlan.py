"""VLAN filtering of a bridge.

Source: net/bridge/br_vlan.c (br_allowed_ingress, br_allowed_egress, br_handle_vlan).
"""

from __future__ import annotations

from pktdiag.model.host import BridgeVlan, Link
from pktdiag.model.kernel import ETH_P_8021Q
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk.state import Walk


def _members(walk: Walk, ns: NamespaceView, br: Link) -> dict[tuple[int, int], BridgeVlan]:
    key = ("bridge-vlans", ns.id, br.ifindex)
    members = walk.memory.get(key)
    if not isinstance(members, dict):
        members = walk.memory[key] = {(entry.ifindex, entry.vid): entry for entry in ns.bridge_vlans(br.ifindex)}
    return members


def filtering(br: Link) -> bool:
    return bool(br.data.get("vlan_filtering"))


def ingress(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> int | None:
    """The VLAN the frame belongs to, 0 without filtering; None: it may not enter (its fate is not recorded here).
    ``port`` is the bridge itself for frames it sends."""
    skb.extra.pop("vlan_filtered", None)
    if not filtering(br):
        return 0
    skb.extra["vlan_filtered"] = True
    members = _members(walk, ns, br)
    vid = skb.vlan_tci & 0xFFF if skb.vlan_tci is not None and skb.vlan_proto == br.data.get("vlan_protocol", ETH_P_8021Q) else 0
    if not vid:
        vid = next((entry.vid for entry in members.values() if entry.ifindex == port.ifindex and entry.pvid), 0)
        if not vid:
            return None
        skb.vlan_tci = (skb.vlan_tci or 0) & 0xF000 | vid
        skb.vlan_proto = br.data.get("vlan_protocol", ETH_P_8021Q)
    return vid if (port.ifindex, vid) in members else None


def egress_allowed(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> bool:
    if "vlan_filtered" not in skb.extra:
        return True
    return (port.ifindex, (skb.vlan_tci or 0) & 0xFFF) in _members(walk, ns, br)


def untag(walk: Walk, ns: NamespaceView, br: Link, port: Link, skb: Skb) -> None:
    """br_handle_vlan(): the tag comes off where the port has the VLAN untagged."""
    if "vlan_filtered" not in skb.extra:
        return
    entry = _members(walk, ns, br).get((port.ifindex, (skb.vlan_tci or 0) & 0xFFF))
    if entry is not None and entry.untagged:
        skb.vlan_tci = None
