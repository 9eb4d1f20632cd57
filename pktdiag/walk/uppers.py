"""The virtual devices stacked on top of a device: VLANs, macvlans, ipvlans, in whatever namespace they are.

A device does not report what sits on top of it in other namespaces. Every macvlan (and every VLAN with a MAC of
its own) registers a unicast address with its lower device, though, and that list can be read (net/core/rtnetlink.c:
ndo_dflt_fdb_dump); only where it has entries are the other namespaces searched. An ipvlan has its lower device's address
and registers nothing (drivers/net/ipvlan/ipvlan_main.c: ipvlan_open): a kernel that has them at all is searched.
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import ETH_P_8021Q, NTF_SELF, PACKET_HOST
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb
from pktdiag.walk.state import Walk

STACKED = frozenset(("macvlan", "macvtap", "ipvlan", "ipvtap"))
_KINDS = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")
_CHILDLESS = frozenset(("loopback", "bridge", "tun", "wireguard", "ipip", "sit", "gre", "ip6tnl", "macvlan", "macvtap", "ipvlan", "ipvtap"))
"""Kinds not searched across namespaces: nothing is stacked on them in practice, or it cannot be."""

Upper = tuple[NamespaceView, Link]


def of(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> list[Upper]:
    """The macvlan, macvtap, ipvlan and ipvtap devices on top of ``dev``."""
    return [upper for upper in _all(walk, ns, dev, skb) if upper[1].kind in STACKED]


def stacked(walk: Walk, ns: NamespaceView, dev: Link, asking_ns: NamespaceView, asking: Link) -> list[Upper]:
    """All macvlans on ``dev`` but the asking one."""
    found = [upper for upper in _here(walk, ns, dev) + _elsewhere(walk, ns, dev) if upper[1].kind in STACKED]
    return [upper for upper in found if upper[1].ifindex != asking.ifindex or upper[0].id != asking_ns.id]


def vlan(walk: Walk, ns: NamespaceView, dev: Link, vid: int, proto: int) -> Upper | None:
    """vlan_find_dev(): the VLAN device with this tag."""
    for found in (_here(walk, ns, dev), _elsewhere(walk, ns, dev)):
        for upper in found:
            data = upper[1].data
            if upper[1].kind == "vlan" and data.get("id") == vid and data.get("protocol", ETH_P_8021Q) == proto:
                return upper
    return None


def _all(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> list[Upper]:
    found = _here(walk, ns, dev)
    if dev.kind not in _CHILDLESS and (walk.host.kernel_has("ipvlan") or (
            (skb.pkt_type != PACKET_HOST or dev.kind not in ("veth",)) and _registered(ns, dev))):
        found = found + _elsewhere(walk, ns, dev)
    return found


def _here(walk: Walk, ns: NamespaceView, dev: Link) -> list[Upper]:
    by_lower = walk.memory.get(("uppers", ns.id))
    if by_lower is None:
        by_lower = walk.memory[("uppers", ns.id)] = {}
        for link in ns.links_of(_KINDS):
            if link.link is not None and link.link.nsid is None:
                by_lower.setdefault(link.link.ifindex, []).append((ns, link))
    return list(by_lower.get(dev.ifindex, ()))


def _registered(ns: NamespaceView, dev: Link) -> bool:
    """Whether anybody registered a unicast address with the device (dev_uc_add)."""
    try:
        return any(not entry.mac[0] & 1 for entry in ns.fdb(dev.ifindex) if entry.mac and entry.flags & NTF_SELF)
    except Unreadable:
        return True


def _elsewhere(walk: Walk, ns: NamespaceView, dev: Link) -> list[Upper]:
    key = ("uppers-elsewhere", ns.id, dev.ifindex)
    known = walk.memory.get(key)
    if known is not None:
        return list(known)
    found: list[Upper] = []
    for other in walk.host.namespaces():
        if other.id == ns.id:
            continue
        try:
            links = other.links_of(_KINDS)
        except Unreadable:
            continue  # the host view keeps the gap
        for link in links:
            if link.link is None or link.link.nsid is None or link.link.ifindex != dev.ifindex:
                continue
            lower = other.peer_namespace(link.link.nsid)
            if lower is not None and lower.id == ns.id:
                found.append((other, link))
    walk.memory[key] = found
    return list(found)
