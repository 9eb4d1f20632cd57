"""Which namespace owns an address, and at which of its addresses a named namespace is meant."""

from __future__ import annotations

from pktdiag.cli.endpoint import Endpoint
from pktdiag.model.host import InterfaceAddress, Link
from pktdiag.model.kernel import AF_INET, AF_INET6, RT_SCOPE_LINK
from pktdiag.model.packet import in_prefix
from pktdiag.model.view import HostView, NamespaceView, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

TENTATIVE_OR_FAILED = 0x08 | 0x40


def owners(host: HostView, base: NamespaceView, address: bytes) -> tuple[list[NamespaceView], int]:
    """(namespaces that have ``address``, how many could not be read), the nearest by wire first.

    Private addresses repeat: every engine's first container is 172.17.0.2. So ``base`` settles it alone when it is one of
    them, then whoever the way back leads to, then those its wires reach; only then is the whole host searched.
    """
    family = AF_INET if len(address) == 4 else AF_INET6
    if _has(base, family, address):
        return [base], 0
    near = _behind_the_way_back(host, base, address)
    if near is not None and _has_readably(near, family, address):
        return [near], 0
    seen = {base.id}
    for ns in _wired(base):
        if _has_readably(ns, family, address):
            return [ns], 0
        seen.add(ns.id)
    found = []
    unseen = 0
    for ns in host.namespaces():
        try:
            if ns.id not in seen and _has(ns, family, address):
                found.append(ns)
        except Unreadable:
            unseen += 1
    return found, unseen


def _behind_the_way_back(host: HostView, base: NamespaceView, address: bytes) -> NamespaceView | None:
    """The namespace at the other end of the wire that leads to ``address``: on a host with a thousand containers this
    reads two tables and not a thousand namespaces."""
    from pktdiag.cli.arrival import way_back
    try:
        link = base.link(way_back(host, base, address) or 0)
        if link is not None and link.kind == "bridge":
            link = _port_towards(base, link, address)
        return _other_end(base, link) if link is not None else None
    except Unreadable:
        return None


def _port_towards(ns: NamespaceView, bridge: Link, address: bytes) -> Link | None:
    """The port behind which the neighbour with ``address`` was last seen."""
    family = AF_INET if len(address) == 4 else AF_INET6
    known = ns.neighbour(family, bridge.ifindex, address, False)
    if known is None or not known.lladdr:
        return None
    vlans = (0, int(bridge.data.get("vlan_default_pvid", 0))) if bridge.data.get("vlan_filtering") else (0,)
    found = next((entry for vlan in vlans if (entry := ns.fdb_entry(bridge.ifindex, known.lladdr, vlan)) is not None), None)
    return ns.link(found.ifindex) if found is not None else None


def _other_end(ns: NamespaceView, link: Link) -> NamespaceView | None:
    if link.kind != "veth" or link.link is None or link.link.nsid is None:
        return None
    return ns.peer_namespace(link.link.nsid)


def _wired(base: NamespaceView) -> Iterator[NamespaceView]:
    """The namespaces that veth pairs connect with ``base``, nearest first, found as they are asked for."""
    queue, seen = [base], {base.id}
    while queue:
        ns = queue.pop(0)
        try:
            for link in ns.links().values():
                end = _other_end(ns, link)
                if end is not None and end.id not in seen:
                    seen.add(end.id)
                    queue.append(end)
                    yield end
        except Unreadable:
            continue


def _has(ns: NamespaceView, family: int, address: bytes) -> bool:
    # 127.0.0.0/8 is local wherever lo is up: inet_addr_type finds it through the local table (net/ipv4/fib_frontend.c).
    return any(own.local == address or (own.local[0] == 127 and family == AF_INET and in_prefix(address, own.local, own.prefixlen))
               for own in ns.addresses(family))


def _has_readably(ns: NamespaceView, family: int, address: bytes) -> bool:
    try:
        return _has(ns, family, address)
    except Unreadable:
        return False


def source_family(source: Endpoint | None) -> int | None:
    """Address length the sender dictates (4 or 16); None: free."""
    return len(source.address) if source is not None and source.address is not None else None


def best_address(ns: NamespaceView, sender: NamespaceView, family: int | None,
                 outside: bytes | None) -> tuple[bytes | None, list[bytes]]:
    """(the address of ``ns`` the sender would mean, its other ones): one of a subnet that both share, or shared with
    the sender ``outside``; else the first global one, IPv4 before IPv6; loopback's only inside one namespace."""
    candidates = [own for own in _addresses(ns, family) if not _loopback(own)]
    if ns.id == sender.id and outside is None:
        near = [own for own in _addresses(ns, family) if _loopback(own)]
        if near:
            return near[0].local, []
    if not candidates:
        return None, []
    if outside is not None:
        shared = [own for own in candidates if in_prefix(outside, own.local, own.prefixlen)]
    else:
        theirs = [own for own in _addresses(sender, family) if not _loopback(own)]
        shared = [own for own in candidates
                  if any(in_prefix(own.local, other.local, min(other.prefixlen, own.prefixlen)) for other in theirs)]
    best = (shared or candidates)[0]
    others = [own.local for own in (shared or candidates) if own is not best and len(own.local) == len(best.local)]
    return best.local, others


def _addresses(ns: NamespaceView, family: int | None) -> list[InterfaceAddress]:
    """Usable addresses, IPv4 first, link-local ones left out."""
    wanted = [AF_INET, AF_INET6] if family is None else [AF_INET if family == 4 else AF_INET6]
    return [own for af in wanted for own in ns.addresses(af)
            if not (own.flags & TENTATIVE_OR_FAILED and own.flags & 0x08) and (own.scope < RT_SCOPE_LINK or _loopback(own))]


def _loopback(own: InterfaceAddress) -> bool:
    return own.local[0] == 127 if len(own.local) == 4 else own.local == bytes(15) + b"\x01"
