"""Builds the picture of a host from its view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pktdiag.explain import wiring as wires
from pktdiag.explain.topology_problems import Finder
from pktdiag.explain.wiring import Node, Wiring
from pktdiag.model.host import Gap, InterfaceAddress, Link, Process
from pktdiag.model.kernel import AF_INET, AF_INET6
from pktdiag.model.packet import format_address
from pktdiag.model.topology import End, Topology, TopologyLink, TopologyNamespace
from pktdiag.model.view import HostView, NamespaceView, Unreadable

Answer = TypeVar("Answer")


def build(host: HostView) -> Topology:
    """Reads every namespace of the host. A namespace or a part of it that cannot be read becomes a gap; nothing else
    is raised. One that vanishes meanwhile is left out."""
    return _Builder(host).build()


class _Builder:
    def __init__(self, host: HostView) -> None:
        self.host = host
        self.gaps: list[Gap] = []
        self.addresses: dict[str, dict[int, list[InterfaceAddress]]] = {}
        self.namespaces: dict[str, NamespaceView] = {}

    def build(self) -> Topology:
        wiring = wires.read(self.host)
        self.namespaces = wiring.namespaces
        for namespace in wiring.namespaces.values():
            self.addresses[namespace.id] = self._addresses(namespace)
        finder = Finder(wiring, self.addresses, self._label)
        namespaces = [self._namespace(namespace, wiring, finder) for namespace in wiring.namespaces.values()]
        for namespace, gap in wiring.unreadable.values():
            if "vanished" in gap.why:
                continue
            self.gaps.append(gap)
            namespaces.append(TopologyNamespace(namespace.id, tuple(namespace.names), self._container(namespace.id),
                                                self._processes(namespace.id), (), gap.why))
        for gap in self.host.gaps():
            if gap not in self.gaps:
                self.gaps.append(gap)
        return Topology(tuple(namespaces), tuple(self.gaps))

    def _try(self, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        try:
            return question()
        except Unreadable as error:
            if error.gap not in self.gaps:
                self.gaps.append(error.gap)
            return otherwise

    def _addresses(self, namespace: NamespaceView) -> dict[int, list[InterfaceAddress]]:
        found: dict[int, list[InterfaceAddress]] = {}
        for family in (AF_INET, AF_INET6):
            nothing: Sequence[InterfaceAddress] = ()
            for address in self._try(lambda family=family: namespace.addresses(family), nothing):  # type: ignore[misc]
                found.setdefault(address.ifindex, []).append(address)
        return found

    def _container(self, netns: str) -> str | None:
        return self._try(lambda: self.host.container_of(netns), None)

    def _processes(self, netns: str) -> tuple[Process, ...]:
        nobody: Sequence[Process] = ()
        return tuple(self._try(lambda: self.host.processes_in(netns), nobody))

    def _label(self, netns: str) -> str:
        """What to call a namespace in a sentence: its first name, else its id."""
        namespace = self.namespaces.get(netns)
        return label(namespace.names, netns) if namespace else netns

    def _namespace(self, namespace: NamespaceView, wiring: Wiring, finder: Finder) -> TopologyNamespace:
        links = [self._link((netns, ifindex), link, wiring, finder)
                 for (netns, ifindex), link in wiring.links.items() if netns == namespace.id]
        return TopologyNamespace(namespace.id, tuple(namespace.names), self._container(namespace.id),
                                 self._processes(namespace.id), tuple(links))

    def _link(self, node: Node, link: Link, wiring: Wiring, finder: Finder) -> TopologyLink:
        master = wiring.links.get((node[0], link.master)) if link.master is not None else None
        return TopologyLink(
            link.ifindex, link.name, link.kind, link.mac, link.mtu, link.up, link.carrier,
            tuple(address_text(address) for address in self.addresses[node[0]].get(link.ifindex, ())),
            _end(wiring.peers.get(node), wiring), master.name if master else None,
            _end(wiring.parents.get(node), wiring), link.xdp, tuple(details(link)), link.alias, finder.problems(node))


def label(names: Sequence[str], netns: str) -> str:
    """The name people know best, else the id."""
    return names[0] if names else netns


def address_text(address: InterfaceAddress) -> str:
    """``198.51.100.1/24``; a point-to-point address with its peer as ``ip address`` prints it."""
    text = format_address(address.local)
    if address.peer is not None:
        text += f" peer {format_address(address.peer)}"
    return f"{text}/{address.prefixlen}"


def _end(node: Node | None, wiring: Wiring) -> End | None:
    if node is None:
        return None
    link = wiring.links.get(node)
    return End(node[0], node[1], link.name if link else f"if{node[1]}")


def details(link: Link) -> list[str]:
    """What decides how the device treats packets, worded as ``ip -d link`` does."""
    found = []
    data = link.data
    if link.kind in ("vlan", "vxlan", "geneve") and "id" in data:
        found.append(f"id {data['id']}")
    for key in ("local", "remote", "group"):
        if link.kind not in ("tun", "bridge") and isinstance(data.get(key), bytes) and any(data[key]):
            address: bytes = data[key]
            multicast = address[0] & 0xF0 == 0xE0 if len(address) == 4 else address[0] == 0xFF
            # IFLA_VXLAN_GROUP holds a unicast remote as well; `ip` tells them apart like this.
            found.append(f"{'remote' if key == 'group' and not multicast else key} {format_address(address)}")
    if "mode" in data:
        found.append(f"mode {data['mode']}")
    if link.kind == "vrf" and "table" in data:
        found.append(f"table {data['table']}")
    found += [name for name in ("vlan_filtering", "stp_state", "nf_call_iptables") if data.get(name)]
    found += [name for name in ("hairpin", "isolated", "guard", "neigh_suppress") if link.port.get(name)]
    if link.port and link.slave_kind == "bridge" and not link.port.get("learning", 1):
        found.append("learning off")
    if link.xdp:
        found.append(link.xdp)
    return found
