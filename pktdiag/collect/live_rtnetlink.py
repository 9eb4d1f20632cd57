"""The rtnetlink and /proc half of a live namespace."""

from __future__ import annotations

from pktdiag.collect.asking import Asking
from pktdiag.collect.rtnl_address import read_addresses
from pktdiag.collect.rtnl_link import read_link, read_link_named, read_links, read_links_of, read_ports
from pktdiag.collect.rtnl_neigh import read_fdb, read_fdb_entry, read_neighbour, read_neighbours
from pktdiag.collect.rtnl_route import read_learned, read_routes
from pktdiag.collect.rtnl_rule import read_rules
from pktdiag.model.host import ArpSide, BridgeVlan, FdbEntry, InterfaceAddress, Link, Neighbour, Route, RouteRule
from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAMILY = {2: "IPv4", 10: "IPv6"}


def _plain(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "surrogateescape").strip()


class RtnetlinkPart(Asking):
    """See ``model.view.NamespaceView`` for what each method answers."""

    def links(self) -> Mapping[int, Link]:
        return self.ask("links", "network interfaces", lambda: read_links(self.door.route()))

    def link(self, ifindex: int) -> Link | None:
        if "links" in self._known:
            return self.links().get(ifindex)
        return self.ask(("link", ifindex), f"interface {ifindex}", lambda: read_link(self.door.route(), ifindex))

    def link_named(self, name: str) -> Link | None:
        if "links" in self._known:
            return next((link for link in self.links().values() if link.name == name), None)
        return self.ask(("link", name), f"interface {name}", lambda: read_link_named(self.door.route(), name))

    def ports(self, master: int) -> Sequence[Link]:
        if "links" in self._known:
            return [link for link in self.links().values() if link.master == master]
        return self.ask(("ports", master), f"ports of interface {master}", lambda: read_ports(self.door.route(), master))

    def links_of(self, kinds: tuple[str, ...]) -> Sequence[Link]:
        if "links" in self._known:
            return [link for link in self.links().values() if link.kind in kinds]
        return self.ask(("kinds", kinds), f"interfaces of kind {' or '.join(kinds)}", lambda: read_links_of(self.door, kinds))

    def peer_namespace(self, nsid: int) -> NamespaceView | None:
        found: NamespaceView | None = self.ask(("nsid", nsid), f"the namespace behind id {nsid}",
                                               lambda: self.host.resolve_nsid(self.door, nsid))
        return found

    def peer_namespaces(self, nsids: Sequence[int]) -> Mapping[int, NamespaceView]:
        found: dict[int, NamespaceView] = self.host.resolve_nsids(self.door, nsids)
        return found

    def arp_side(self, ifindex: int, target: bytes, sender: bytes) -> ArpSide | None:
        from pktdiag.collect.arp_side import read

        return self.ask(("arp side", ifindex, target, sender), f"how interface {ifindex} answers ARP",
                        lambda: read(self.door, ifindex, target, sender))

    def addresses(self, family: int) -> Sequence[InterfaceAddress]:
        return self.ask(("addresses", family), f"{_FAMILY.get(family, family)} addresses",
                        lambda: read_addresses(self.door.route(), family))

    def route_rules(self, family: int) -> Sequence[RouteRule]:
        return self.ask(("rules", family), f"{_FAMILY.get(family, family)} policy rules",
                        lambda: read_rules(self.door.route(), family))

    def routes(self, family: int, table: int) -> Sequence[Route]:
        return self.ask(("routes", family, table), f"{_FAMILY.get(family, family)} routes of table {table}",
                        lambda: read_routes(self.door.route(), family, table))

    def learned_route(self, packet: Packet, oif: int, mark: int, own: bool) -> Route | None:
        key = packet.dst, packet.src if own else b"", packet.proto, packet.sport, packet.dport, packet.tos, oif, mark
        return self.ask(("learned", *key), f"what was learned of {_FAMILY.get(packet.family, packet.family)} routes",
                        lambda: read_learned(self.door.route(), packet, oif, mark, own))

    def neighbours(self, family: int, ifindex: int) -> Sequence[Neighbour]:
        return self.ask(("neighbours", family, ifindex), f"{_FAMILY.get(family, family)} neighbours of interface {ifindex}",
                        lambda: read_neighbours(self.door.route(), family, ifindex))

    def neighbour(self, family: int, ifindex: int, address: bytes, proxy: bool) -> Neighbour | None:
        key = ("neighbours", family, ifindex)
        if key in self._known:
            return next((item for item in self.neighbours(family, ifindex) if item.dst == address and item.proxy == proxy), None)
        return self.ask((*key, address, proxy), f"{_FAMILY.get(family, family)} neighbours of interface {ifindex}",
                        lambda: read_neighbour(self.door.route(), family, ifindex, address, proxy))

    def fdb_entry(self, bridge: int, mac: bytes, vlan: int) -> FdbEntry | None:
        if ("fdb", bridge) in self._known:
            return next((item for item in self.fdb(bridge) if item.mac == mac and item.vlan == vlan), None)
        return self.ask(("fdb", bridge, mac, vlan), f"forwarding entries of interface {bridge}",
                        lambda: read_fdb_entry(self.door.route(), bridge, mac, vlan))

    def fdb(self, bridge: int) -> Sequence[FdbEntry]:
        def read() -> tuple[FdbEntry, ...]:
            link = self.link(bridge)
            return read_fdb(self.door.route(), bridge, link is not None and link.kind == "bridge")

        return self.ask(("fdb", bridge), f"forwarding entries of interface {bridge}", read)

    def bridge_port_order(self, bridge: int) -> Sequence[int]:
        """The ports of a bridge (ifindex) in the order in which it floods, as far as that can be told."""
        from pktdiag.collect.bridge_ports import read_port_numbers

        def read() -> tuple[int, ...]:
            link = self.link(bridge)
            by_number = {port.port.get("no"): port.ifindex for port in self.ports(bridge)}
            numbers = read_port_numbers(self.door, link.name) if link is not None else ()
            return tuple(by_number[number] for number in numbers if number in by_number)

        return self.ask(("port order", bridge), f"the order of the ports of bridge {bridge}", read)

    def bridge_vlans(self, bridge: int) -> Sequence[BridgeVlan]:
        from pktdiag.collect.rtnl_bridge import read_vlans

        vlans = self.ask("vlans", "bridge VLANs", lambda: read_vlans(self.door.route()))
        return vlans.get(bridge, ())

    def mdb(self, bridge: int) -> Sequence[FdbEntry]:
        from pktdiag.collect.rtnl_bridge import read_mdb

        return self.ask(("mdb", bridge), f"multicast groups of bridge {bridge}", lambda: read_mdb(self.door.route(), bridge))

    def tc(self, ifindex: int, side: str) -> Sequence[str]:
        from pktdiag.collect.rtnl_tc import read_filters

        return self.ask(("tc", ifindex, side), f"tc filters of interface {ifindex}",
                        lambda: read_filters(self.door.route(), ifindex, side))

    def bpf_attached(self, ifindex: int) -> Sequence[str]:
        from pktdiag.collect.bpf import read_attached

        def read() -> tuple[str, ...]:
            link = self.link(ifindex)
            try:
                with self.door.inside():
                    return read_attached(ifindex, link is not None and link.kind == "netkit")
            except PermissionError:
                if self.host.assume_empty:
                    return ()
                raise

        return self.ask(("bpf", ifindex), f"BPF programs attached to interface {ifindex}", read)

    def multicast_macs(self, ifindex: int) -> frozenset[bytes]:
        from pktdiag.collect.sysfiles import parse_dev_mcast

        def read() -> dict[int, frozenset[bytes]]:
            return parse_dev_mcast(self.door.read("/proc/thread-self/net/dev_mcast") or b"")

        known: dict[int, frozenset[bytes]] = self.ask("multicast macs", "multicast addresses of interfaces", read)
        return known.get(ifindex, frozenset())

    def sysctl(self, path: str) -> str | None:
        # Most settings of a device count together with the same one of "all": two in one visit.
        known = self._known.get(("sysctl", path), self)
        if known is None or type(known) is str:
            return known
        both = [path]
        parts = path.split("/")
        if len(parts) == 5 and parts[2] == "conf" and parts[3] != "all":
            companion = f"{parts[0]}/{parts[1]}/conf/all/{parts[4]}"
            if ("sysctl", companion) not in self._known:
                both.append(companion)

        def read() -> str | None:
            contents = self.door.sysctls(tuple("/proc/sys/" + one for one in both))
            for one, content in zip(both[1:], contents[1:]):
                if not isinstance(content, OSError):
                    self._known["sysctl", one] = _plain(content)
            if isinstance(contents[0], OSError):
                raise contents[0]
            return _plain(contents[0])

        return self.ask(("sysctl", path), f"sysctl {path}", read)

    def snmp(self) -> Mapping[str, int]:
        from pktdiag.collect.sysfiles import parse_snmp

        def read() -> dict[str, int]:
            files = [self.door.read(f"/proc/thread-self/net/{name}") or b"" for name in ("snmp", "netstat", "snmp6")]
            return parse_snmp(*files)

        return self.ask("snmp", "SNMP counters", read)
