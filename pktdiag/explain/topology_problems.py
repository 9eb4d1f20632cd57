"""What looks broken in the wiring of a host, found without a packet.

==========================  =================================================================================
peer-hidden                 a veth whose other end lies in a namespace that cannot be found
peer-down                   the other end of a veth pair is down: no carrier here
interface-down              down, although something depends on it (a peer, a master, ports or addresses)
no-carrier                  up, but nothing at the other end (drivers/net: netif_carrier_off)
bridge-down                 a bridge that is down and holds ports (net/bridge/br_input.c: br_handle_frame_finish)
bridge-no-carrier           a bridge none of whose ports is up (net/bridge/br_stp_if.c: br_port_carrier_check)
peer-unattached             an interface with addresses whose other end has no master, no address and no route
mtu-differs                 the two ends of a link take packets of different size
mtu-above-lower             a stacked device takes larger packets than the device below can carry
address-twice               two interfaces of one segment, or of one namespace, have the same address
address-refused             IPv6 duplicate address detection found another owner (net/ipv6/addrconf.c)
port-not-forwarding         spanning tree keeps a bridge port from forwarding (net/bridge/br_forward.c: should_deliver)
loopback-down               127.0.0.1 does not work in this namespace
==========================  =================================================================================
"""

from __future__ import annotations

import shlex

from pktdiag.explain.wiring import STACKED, Node, Wiring, segments
from pktdiag.model.host import InterfaceAddress, Link
from pktdiag.model.kernel import AF_INET, AF_INET6, RT_TABLE_MAIN
from pktdiag.model.packet import format_address
from pktdiag.model.topology import BROKEN, ODD, Problem
from pktdiag.model.view import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Addresses = dict[str, dict[int, list[InterfaceAddress]]]
_PORT_STATES = {1: "listening", 2: "learning", 4: "blocking"}
# Outer IP, UDP and VXLAN headers around the inner Ethernet frame: drivers/net/vxlan: VXLAN_HEADROOM.
_OVERHEAD = {"vxlan": 50, "geneve": 50}
_UNNUMBERED = ("tun", "wireguard", "ppp", "dummy", "vrf", "gre", "ipip", "sit", "ip6tnl", "vti", "xfrm")
_DADFAILED = 0x08


class Finder:
    """Looks at one wired host; asks for routes only where they decide."""

    def __init__(self, wiring: Wiring, addresses: Addresses, label: Callable[[str], str]) -> None:
        self.wiring, self.addresses, self.label = wiring, addresses, label
        self.twice = self._twice()

    def problems(self, node: Node) -> tuple[Problem, ...]:
        """Everything that looks wrong at one interface, the worst first."""
        link = self.wiring.links[node]
        found = [Problem(code, severity, text, command or self._show(node))
                 for code, severity, text, command in self._all(node, link)]
        return tuple(sorted(found, key=lambda problem: problem.severity != BROKEN))

    def _all(self, node: Node, link: Link) -> Iterator[tuple[str, str, str, str]]:
        yield from self._state(node, link)
        yield from self._peer(node, link)
        yield from self._sizes(node, link)
        for text in self.twice.get(node, ()):
            yield "address-twice", ODD, text, self._show(node, "-d address")
        for address in self._of(node):
            if address.flags & _DADFAILED:
                yield ("address-refused", BROKEN, f"{format_address(address.local)} is not in use: another station "
                       "already has it (dadfailed)", self._show(node, "-d address"))
        state = _PORT_STATES.get(link.port.get("state", 3)) if link.up and link.slave_kind == "bridge" else None
        if state:
            yield "port-not-forwarding", BROKEN, f"the bridge keeps this port {state}: no frames are forwarded", ""

    def _state(self, node: Node, link: Link) -> Iterator[tuple[str, str, str, str]]:
        ports = self.wiring.ports(node[0], link.ifindex) if link.kind in ("bridge", "bond", "team") else []
        peer = self.wiring.peers.get(node)
        if not link.up:
            if link.loopback:
                yield "loopback-down", ODD, "down: 127.0.0.1 and ::1 do not work in this namespace", ""
            elif ports:
                yield "bridge-down", BROKEN, f"down, with {len(ports)} port{'s' * (len(ports) > 1)}: nothing crosses it", ""
            elif peer is not None or link.master is not None or self._of(node) or node in self.wiring.parents:
                yield "interface-down", BROKEN, "down: nothing passes it", ""
        elif not link.carrier:
            if peer is not None and not self.wiring.links[peer].up:
                yield "peer-down", BROKEN, f"its other end {self._name(peer)} is down", self._show(peer)
            elif link.kind == "bridge":
                if ports:
                    yield "bridge-no-carrier", BROKEN, "none of its ports is up", ""
            elif not link.loopback and link.kind not in ("dummy", "tun", "nlmon", "ifb"):
                yield "no-carrier", BROKEN, "no carrier: nothing is connected at the other end", ""

    def _peer(self, node: Node, link: Link) -> Iterator[tuple[str, str, str, str]]:
        if node in self.wiring.hidden:
            yield "peer-hidden", ODD, "its other end is in a namespace that cannot be found", ""
            return
        peer = self.wiring.peers.get(node)
        if peer is None or not link.up or not self._global(node):
            return
        other = self.wiring.links[peer]
        if other.up and other.master is None and not self._global(peer) and not self._routed(peer):
            yield ("peer-unattached", BROKEN, f"its other end {self._name(peer)} belongs to no bridge and has neither "
                   "address nor route: nothing gets further", self._show(peer))

    def _sizes(self, node: Node, link: Link) -> Iterator[tuple[str, str, str, str]]:
        peer = self.wiring.peers.get(node)
        if peer is not None and self.wiring.links[peer].mtu != link.mtu:
            yield ("mtu-differs", ODD, f"mtu {link.mtu}, but {self.wiring.links[peer].mtu} at its other end "
                   f"{self._name(peer)}", self._show(peer))
        master = self.wiring.links.get((node[0], link.master)) if link.master is not None else None
        # A frame larger than the port's MTU is dropped on its way out: net/core/dev.c: is_skb_forwardable.
        if master is not None and master.kind == "bridge" and master.mtu != link.mtu:
            yield "mtu-differs", ODD, f"mtu {link.mtu}, but {master.mtu} at its bridge {master.name}", ""
        parent = self.wiring.parents.get(node)
        lower = self.wiring.links.get(parent) if parent is not None else None
        if lower is not None and (link.kind in _OVERHEAD or link.kind in (*STACKED, "vlan")):
            room = lower.mtu - _OVERHEAD.get(link.kind, 0)
            if link.mtu > room:
                yield ("mtu-above-lower", ODD, f"mtu {link.mtu}, but {lower.name} below it carries {room}", "")

    def _twice(self) -> dict[Node, list[str]]:
        """Interfaces that share an address with another one, with a sentence each."""
        segment = segments(self.wiring)
        owners: dict[tuple[object, bytes], dict[Node, None]] = {}
        for netns, by_link in self.addresses.items():
            for ifindex, addresses in by_link.items():
                node = (netns, ifindex)
                link = self.wiring.links.get(node)
                if link is None or link.loopback or not link.up:
                    continue
                for address in addresses:
                    owners.setdefault((segment[node], address.local), {})[node] = None
                    hostlength = address.prefixlen == len(address.local) * 8
                    if not (hostlength or _link_local(address.local) or link.kind in _UNNUMBERED):
                        owners.setdefault((netns, address.local), {})[node] = None
        found: dict[Node, list[str]] = {}
        for (where, local), nodes in owners.items():
            # A bridge borrows a port's MAC, a passthru macvlan its lower device's: the same link-local address in one
            # namespace is that, not a second owner.
            if len(nodes) < 2 or (_link_local(local) and (len({netns for netns, _ in nodes}) < 2 or self._kin(nodes))):
                continue
            for node in nodes:
                others = [other for other in nodes if other != node]
                where_text = "" if isinstance(where, str) else " on the same segment"
                text = f"{format_address(local)} also belongs to {', '.join(map(self._name, others))}{where_text}"
                # The same pair may be found by namespace and by segment.
                if not any(known.startswith(f"{format_address(local)} also") for known in found.get(node, ())):
                    found.setdefault(node, []).append(text)
        return found

    def _kin(self, nodes: dict[Node, None]) -> bool:
        return any(self.wiring.parents.get(node) in nodes for node in nodes)

    def _routed(self, node: Node) -> bool:
        """Some route of the main table leaves by this interface (routed veths, as Calico makes them). True when it
        cannot be read: then nothing is claimed."""
        namespace = self.wiring.namespaces[node[0]]
        try:
            return any(hop.ifindex == node[1] for family in (AF_INET, AF_INET6)
                       for route in namespace.routes(family, RT_TABLE_MAIN)
                       if not _link_local(route.dst) and not _multicast(route.dst) for hop in route.nexthops)
        except Unreadable:
            return True

    def _of(self, node: Node) -> list[InterfaceAddress]:
        return self.addresses.get(node[0], {}).get(node[1], [])

    def _global(self, node: Node) -> bool:
        """It has an address that is not merely the link-local one every IPv6 interface gives itself."""
        return any(not _link_local(address.local) for address in self._of(node))

    def _name(self, node: Node) -> str:
        return f"{self.wiring.links[node].name} in {self.label(node[0])}"

    def _show(self, node: Node, what: str = "-d link") -> str:
        """A command to look at it, quoted for a shell: names may hold anything."""
        option, obj = what.split()
        command = f"ip {option} {obj} show dev {shlex.quote(self.wiring.links[node].name)}"
        return enter(self.wiring, node[0]) + command


def enter(wiring: Wiring, netns: str) -> str:
    """``nsenter`` prefix for a namespace; empty for pktdiag's own."""
    names = wiring.namespaces[netns].names
    if "host" in names[:1]:
        return ""
    pids = getattr(wiring.namespaces[netns], "pids", ())
    if pids:
        return f"nsenter -t {pids[0]} -n "
    return f"ip netns exec {shlex.quote(names[0])} " if names else ""


def _link_local(address: bytes) -> bool:
    """fe80::/10. IPv4's 169.254/16 is a choice somebody made and counts as an address."""
    return len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80


def _multicast(address: bytes) -> bool:
    return len(address) == 16 and address[0] == 0xFF
