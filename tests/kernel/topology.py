"""Invents namespaces and how they are wired: point-to-point links, bridged segments, routers, addresses, routes."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .host import Item

LETTERS = "abcdefgh"


class Interface(NamedTuple):
    ns: str
    dev: str
    segment: int
    v4: str
    """Address without prefix length, "" for none."""
    v6: str
    mac: str
    peer: str
    """The veth's other end (device name), "" for a bridge or dummy."""
    peer_ns: str


class Plan:
    """What the other generators need to know about the host being invented."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.items: list[Item] = []
        self.names: list[str] = []
        self.interfaces: list[Interface] = []
        """Those that carry addresses (a bridge, not its ports)."""
        self.devices: dict[str, list[str]] = {}
        self.bridges: dict[str, list[str]] = {}
        self.ports: dict[str, list[str]] = {}
        """Bridge ports by namespace."""
        self.macs: dict[str, str] = {}
        self.veths: list[tuple[str, str, str, str]] = []
        """(ns, device, peer ns, peer device), both ways."""
        self.ipv6 = rng.random() < 0.25
        self.segments = 0
        self.listeners: list[tuple[str, str, str, int]] = []
        """(ns, proto, address, port)"""

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def ip(self, ns: str, line: str) -> None:
        self.items.append({"do": "ip", "ns": ns, "line": line})

    def sysctl(self, ns: str, path: str, value: object) -> None:
        self.items.append({"do": "sysctl", "ns": ns, "path": path, "value": str(value)})

    def namespace(self) -> str:
        name = LETTERS[len(self.names)]
        self.names.append(name)
        self.devices[name], self.bridges[name], self.ports[name] = [], [], []
        self.items.append({"do": "netns", "ns": name})
        return name

    def _device(self, ns: str, kind: str = "") -> tuple[str, str]:
        number = len(self.devices[ns])
        name = f"{ns}{kind}{number}"
        mac = f"02:00:00:00:{LETTERS.index(ns) + 16:02x}:{number:02x}"
        self.devices[ns].append(name)
        self.macs[name] = mac
        return name, mac

    def cable(self, a: str, b: str) -> tuple[str, str]:
        """A pair between two namespaces, down as yet."""
        (near, near_mac), (far, far_mac) = self._device(a), self._device(b)
        self.ip(a, f"link add {near} address {near_mac} type veth peer name {far} address {far_mac} netns NETNS({b})")
        self.veths += [(a, near, b, far), (b, far, a, near)]
        return near, far

    def veth(self, a: str, b: str) -> tuple[str, str]:
        """A pair between two namespaces; mostly up."""
        near, far = self.cable(a, b)
        mtu = self.rng.choice((1280, 1400, 1492)) if self.chance(0.06) else 0
        for ns, dev in ((a, near), (b, far)):
            if mtu and self.chance(0.9):
                self.ip(ns, f"link set {dev} mtu {mtu}")
            if not self.chance(0.02):
                self.ip(ns, f"link set {dev} up")
        return near, far

    def address(self, ns: str, dev: str, segment: int, host: int, peer: str = "", peer_ns: str = "") -> None:
        v4 = v6 = ""
        if not self.chance(0.02):
            v4 = f"10.{segment}.0.{host}"
            self.ip(ns, f"addr add {v4}/24 {'brd + ' if self.chance(0.5) else ''}dev {dev}")
        if self.ipv6:
            v6 = f"2001:db8:{segment}::{host:x}"
            self.ip(ns, f"addr add {v6}/64 dev {dev} nodad")
        self.interfaces.append(Interface(ns, dev, segment, v4, v6, self.macs[dev], peer, peer_ns))

    def point_to_point(self, a: str, b: str) -> None:
        self.segments += 1
        segment = self.segments
        near, far = self.veth(a, b)
        self.address(a, near, segment, 1, far, b)
        self.address(b, far, segment, 2, near, a)

    def bridged(self, switch: str, members: list[str], with_address: bool) -> None:
        self.segments += 1
        segment = self.segments
        bridge, mac = self._device(switch, "br")
        options = ""
        if self.chance(0.1):
            options += " mcast_snooping 0"
        self.bridges[switch].append(bridge)
        self.ip(switch, f"link add {bridge} address {mac} type bridge{options}")
        for host, member in enumerate(members, 2):
            near, far = self.veth(switch, member)
            self.ports[switch].append(near)
            if not self.chance(0.01):
                self.ip(switch, f"link set {near} master {bridge}")
            if self.chance(0.05):
                self.ip(switch, f"link set {near} type bridge_slave {self.rng.choice(('hairpin on', 'isolated on', 'flood off', 'learning off'))}")
            self.address(member, far, segment, host, near, switch)
        self.ip(switch, f"link set {bridge} up")
        if with_address:
            self.address(switch, bridge, segment, 1)


def wire(plan: Plan) -> None:
    """Namespaces and segments: a random tree, now and then with a second way round."""
    rng = plan.rng
    first = plan.namespace()
    want = rng.choice((2, 3, 3, 4, 4, 5))
    while len(plan.names) < want:
        at = rng.choice(plan.names)
        left = want - len(plan.names)
        if left >= 2 and plan.chance(0.45):
            members = [plan.namespace() for _ in range(rng.randint(1, min(3, left)))]
            if plan.chance(0.75):
                plan.bridged(at, members, not plan.chance(0.1))  # docker's shape
            else:
                plan.bridged(members[0], [at, *members[1:]], False)  # a switch of its own
        else:
            plan.point_to_point(at, plan.namespace())
    if len(plan.names) > 2 and plan.chance(0.15):
        plan.point_to_point(*rng.sample(plan.names, 2))
    if plan.chance(0.0):
        dummy, mac = plan._device(first, "d")
        plan.ip(first, f"link add {dummy} address {mac} type dummy")
        plan.ip(first, f"link set {dummy} up")
        plan.segments += 1
        plan.address(first, dummy, plan.segments, 1)
    for name in plan.names:
        if plan.chance(0.08):
            plan.ip(name, f"addr add 10.99.{LETTERS.index(name)}.1/32 dev lo")
            plan.interfaces.append(Interface(name, "lo", 0, f"10.99.{LETTERS.index(name)}.1", "", "", "", ""))


def routes(plan: Plan) -> None:
    """The routes that make it all reachable, and then some damage."""
    rng = plan.rng
    of_segment: dict[int, list[Interface]] = {}
    for interface in plan.interfaces:
        if interface.segment:
            of_segment.setdefault(interface.segment, []).append(interface)
    for name in plan.names:
        mine = [i for i in plan.interfaces if i.ns == name and i.segment]
        reached: dict[int, tuple[Interface, Interface] | None] = {i.segment: None for i in mine}
        edge: list[tuple[int, tuple[Interface, Interface] | None]] = list(reached.items())
        while edge:
            segment, via = edge.pop(0)
            for gateway in of_segment[segment]:
                if gateway.ns == name:
                    continue
                for other in plan.interfaces:
                    if other.ns == gateway.ns and other.segment and other.segment not in reached:
                        out = next(i for i in mine if i.segment == segment) if via is None else via[0]
                        hop = (out, gateway if via is None else via[1])
                        reached[other.segment] = hop
                        edge.append((other.segment, hop))
        hops = {segment: hop for segment, hop in reached.items() if hop}
        gateways = {hop[1].v4 for hop in hops.values()}
        if len(gateways) == 1 and len(mine) == 1 and plan.chance(0.8):
            hop = next(iter(hops.values()))
            _route(plan, name, "default", hop)
        else:
            for segment, hop in hops.items():
                if plan.chance(0.96):
                    _route(plan, name, str(segment), hop)
        if len(mine) > 1 or plan.chance(0.1):
            if plan.chance(0.95):
                plan.sysctl(name, "net/ipv4/ip_forward", 1)
            if plan.ipv6 and plan.chance(0.95):
                plan.sysctl(name, "net/ipv6/conf/all/forwarding", 1)
        if plan.chance(0.08):
            kind = rng.choice(("blackhole", "unreachable", "prohibit", "throw"))
            target = rng.choice(("default", "192.0.2.0/24", f"10.{rng.randint(1, plan.segments)}.0.0/25",
                                 f"10.{rng.randint(1, plan.segments)}.0.2/32"))
            plan.ip(name, f"route add {kind} {target} metric {rng.choice((0, 5, 500))}")
        if plan.chance(0.04) and mine:
            out = rng.choice(mine)
            if out.v4:
                plan.ip(name, f"route replace 198.51.100.0/24 via 10.{out.segment}.0.77 dev {out.dev}")
        if plan.chance(0.04) and mine:
            out = rng.choice(mine)
            if out.v4:
                plan.ip(name, f"route replace 203.0.113.0/24 dev {out.dev}")
        if plan.chance(0.08) and mine:
            policy(plan, name, mine)


def _route(plan: Plan, ns: str, what: str, hop: tuple[Interface, Interface]) -> None:
    out, gateway = hop
    if gateway.v4 and out.v4:
        target = "default" if what == "default" else f"10.{what}.0.0/24"
        extra = plan.rng.choice(("", "", "", f" src {out.v4}", " metric 50"))
        plan.ip(ns, f"route add {target} via {gateway.v4} dev {out.dev}{extra}")
    if gateway.v6 and out.v6:
        target = "default" if what == "default" else f"2001:db8:{what}::/64"
        plan.ip(ns, f"route add {target} via {gateway.v6} dev {out.dev}")


def policy(plan: Plan, ns: str, mine: list[Interface]) -> None:
    """A policy rule, with or without a table behind it."""
    rng = plan.rng
    out = rng.choice(mine)
    segment = rng.randint(1, plan.segments)
    selector = rng.choice((f"from 10.{segment}.0.0/24", f"to 10.{segment}.0.0/24", "fwmark 0x1", "fwmark 0x1/0x3", f"iif {out.dev}",
                           f"to 10.{segment}.0.2", f"from 10.{segment}.0.1 to 192.0.2.0/24", "ipproto udp", "dport 53 ipproto udp",
                           "not fwmark 0x1", "iif lo", f"oif {out.dev}", "tos 0x10", "uidrange 0-0"))
    action = rng.choice(("table 100", "table 100", "table 100", "table 100 suppress_prefixlength 0", "blackhole", "unreachable",
                         "prohibit", "table main suppress_prefixlength 0", "goto 32766"))
    plan.ip(ns, f"rule add {selector} {action} pref {rng.choice((10, 100, 32765))}")
    if out.v4:
        gateway = next((i.v4 for i in plan.interfaces if i.segment == out.segment and i.ns != ns and i.v4), "")
        if gateway:
            plan.ip(ns, f"route add default via {gateway} dev {out.dev} table 100")
        if plan.chance(0.3):
            plan.ip(ns, f"route add {rng.choice(('throw', 'blackhole', 'prohibit'))} 10.{segment}.0.0/24 table 100")
