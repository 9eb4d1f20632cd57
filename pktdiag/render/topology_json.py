"""``pktdiag.topology/1``: the contract other programs read. Fields may be added, never changed."""

from __future__ import annotations

from pktdiag.model.topology import End, Topology, TopologyLink, TopologyNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def document(topology: Topology) -> dict[str, Any]:
    """The whole host as JSON values. Names stay raw in it: JSON escapes them."""
    return {
        "schema": "pktdiag.topology/1",
        "namespaces": [_namespace(namespace) for namespace in topology.namespaces],
        "gaps": [gap._asdict() for gap in topology.gaps],
    }


def _namespace(namespace: TopologyNamespace) -> dict[str, Any]:
    return {
        "id": namespace.id,
        "names": list(namespace.names),
        "pids": [process.pid for process in namespace.processes],
        "container": namespace.container,
        "processes": [{"pid": process.pid, "name": process.name, "container": process.container}
                      for process in namespace.processes],
        "links": [_link(link) for link in namespace.links],
        "unreadable": namespace.unreadable or None,
    }


def _link(link: TopologyLink) -> dict[str, Any]:
    return {
        "ifindex": link.ifindex, "name": link.name, "kind": link.kind, "mac": mac_text(link.mac), "mtu": link.mtu,
        "up": link.up, "carrier": link.carrier, "addresses": list(link.addresses), "peer": _end(link.peer),
        "master": link.master, "parent": _end(link.parent), "xdp": link.xdp, "alias": link.alias or None,
        "details": list(link.details), "problems": [problem._asdict() for problem in link.problems],
    }


def _end(end: End | None) -> dict[str, Any] | None:
    return None if end is None else end._asdict()


def mac_text(mac: bytes) -> str | None:
    """``02:42:ac:11:00:02``; None for a device without a link-layer address."""
    return mac.hex(":") if mac else None
