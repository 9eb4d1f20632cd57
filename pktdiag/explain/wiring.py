"""How the interfaces of a whole host are joined: veth peers, masters, lower devices, and the segments they make.

Nodes are ``(namespace id, ifindex)``. The reporting kernel names another interface by ifindex plus a namespace id of
its own counting (IFLA_LINK, IFLA_LINK_NETNSID: net/core/rtnetlink.c: rtnl_fill_link_netnsid); who that is, the view
answers.
"""

from __future__ import annotations

from pktdiag.model.host import Gap, Link
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import HostView, NamespaceView, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Node = tuple[str, int]
PAIRS = ("veth", "netkit", "vxcan")
"""Kinds whose IFLA_LINK is an equal at the other end, not a device below."""
STACKED = ("macvlan", "macvtap", "ipvlan", "ipvtap")
"""Kinds that share the lower device's segment."""


class Wiring(NamedTuple):
    """Everything read once, joined."""

    namespaces: dict[str, NamespaceView]
    """By id, pktdiag's own first; those whose links could be read."""
    links: dict[Node, Link]
    peers: dict[Node, Node]
    """Both directions. An end whose namespace could not be found is missing here."""
    parents: dict[Node, Node]
    hidden: frozenset[Node]
    """Interfaces whose other end lies in a namespace that could not be found."""
    unreadable: dict[str, tuple[NamespaceView, Gap]]
    """Namespaces that exist and could not be read, by id."""

    def ports(self, netns: str, master: int) -> list[Node]:
        """The interfaces a bridge, bond or VRF holds."""
        return [node for node, link in self.links.items() if node[0] == netns and link.master == master]


def read(host: HostView) -> Wiring:
    """Reads the links of every namespace and joins them."""
    namespaces: dict[str, NamespaceView] = {}
    links: dict[Node, Link] = {}
    unreadable: dict[str, tuple[NamespaceView, Gap]] = {}
    for namespace in host.namespaces():
        try:
            found = dict(namespace.links())
        except Unreadable as error:
            unreadable[namespace.id] = (namespace, error.gap)
            continue
        namespaces[namespace.id] = namespace
        links.update({(namespace.id, ifindex): link for ifindex, link in found.items()})
    peers: dict[Node, Node] = {}
    parents: dict[Node, Node] = {}
    hidden: set[Node] = set()
    for node, link in links.items():
        if link.link is None or node in peers:
            continue
        target = _target(namespaces[node[0]], link)
        if target is None:
            hidden.add(node)
        elif link.kind in PAIRS:
            if target in links:
                peers[node], peers[target] = target, node
            else:
                hidden.add(node)
        else:
            parents[node] = target
    return Wiring(namespaces, links, peers, parents, frozenset(hidden), unreadable)


def _target(namespace: NamespaceView, link: Link) -> Node | None:
    """The interface a link points at; None when its namespace cannot be found."""
    if link.link is None:
        return None
    if link.link.nsid is None:
        return namespace.id, link.link.ifindex
    try:
        other = namespace.peer_namespace(link.link.nsid)
    except Unreadable:
        return None
    return None if other is None else (other.id, link.link.ifindex)


def segments(wiring: Wiring) -> dict[Node, Node]:
    """Node → the representative of its layer 2 segment: those who hear each other's broadcasts.

    A bridge that filters VLANs is taken apart (its ports may be in different VLANs), so that nothing is called joined
    that is not.
    """
    union = _Union(wiring.links)
    for node, peer in wiring.peers.items():
        union.join(node, peer)
    for node, link in wiring.links.items():
        if link.master is not None and (node[0], link.master) in wiring.links:
            master = wiring.links[node[0], link.master]
            if master.kind != "vrf" and not master.data.get("vlan_filtering"):
                union.join(node, (node[0], link.master))
        parent = wiring.parents.get(node)
        if parent in wiring.links and link.kind in STACKED and link.data.get("mode") not in ("l3", "l3s"):
            union.join(node, parent)
    # The same VLAN on two devices of one segment is one segment again.
    vlans: dict[tuple[Node, object, object], Node] = {}
    for node, link in wiring.links.items():
        parent = wiring.parents.get(node)
        if link.kind == "vlan" and parent in wiring.links:
            key = (union.root(parent), link.data.get("protocol"), link.data.get("id"))
            union.join(node, vlans.setdefault(key, node))
    return {node: union.root(node) for node in wiring.links}


class _Union:
    def __init__(self, nodes: Iterable[Node]) -> None:
        self.above = {node: node for node in nodes}

    def root(self, node: Node) -> Node:
        while self.above[node] != node:
            self.above[node] = self.above[self.above[node]]
            node = self.above[node]
        return node

    def join(self, one: Node, other: Node) -> None:
        self.above[self.root(one)] = self.root(other)
