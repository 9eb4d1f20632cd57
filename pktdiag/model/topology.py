"""The host as a picture: namespaces, what lives in them, interfaces and how they are joined.

The JSON contract (``pktdiag.topology/1``) is made from these by ``render.topology_json`` and nowhere else.
"""

from __future__ import annotations

from pktdiag.model.host import Gap, Process
from pktdiag.model.record import NamedTuple

BROKEN, ODD = "broken", "odd"


class Problem(NamedTuple):
    """Something that looks wrong, at the interface where it stands."""

    code: str
    """kebab-case: "peer-down", "mtu-differs", …; the list stands in ``explain.topology_problems``."""
    severity: str
    """BROKEN: nothing passes there. ODD: something may pass, and something may not."""
    text: str
    """One plain sentence, raw names in it."""
    show: str
    """The command that shows it, quoted for a shell."""


class End(NamedTuple):
    """Another interface, possibly elsewhere: a veth's peer, a macvlan's lower device."""

    netns: str
    """``net:[INODE]``"""
    ifindex: int
    name: str


class TopologyLink(NamedTuple):
    """One interface."""

    ifindex: int
    name: str
    kind: str
    """As ``model.host.Link.kind``."""
    mac: bytes
    mtu: int
    up: bool
    """Administratively up."""
    carrier: bool
    addresses: tuple[str, ...]
    """``198.51.100.1/24``, IPv4 first, in the kernel's order."""
    peer: End | None
    """The other end of a veth pair; None: no veth, or its namespace could not be found (then there is a problem)."""
    master: str | None
    """Name of the bridge, bond or VRF it is a port of, in the same namespace."""
    parent: End | None
    """The device below a macvlan, vlan, vxlan or tunnel."""
    xdp: str | None
    details: tuple[str, ...] = ()
    """What else matters, as ``ip -d link`` words it: "id 42", "mode bridge", "vlan_filtering"."""
    alias: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def state(self) -> str:
        """"up", "no carrier" or "down"."""
        return ("up" if self.carrier else "no carrier") if self.up else "down"


class TopologyNamespace(NamedTuple):
    """One network namespace."""

    id: str
    """``net:[INODE]``"""
    names: tuple[str, ...]
    container: str | None
    processes: tuple[Process, ...]
    links: tuple[TopologyLink, ...]
    """In ifindex order."""
    unreadable: str = ""
    """Why its links could not be read, or "" when they could."""


class Topology(NamedTuple):
    """The whole host."""

    namespaces: tuple[TopologyNamespace, ...]
    """pktdiag's own first."""
    gaps: tuple[Gap, ...]

    @property
    def problems(self) -> int:
        return sum(len(link.problems) for namespace in self.namespaces for link in namespace.links)
