"""A view on top of another view, with changes in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from pktdiag.explain.whatif import nft_rule, xt_rule
from pktdiag.explain.whatif.changes import (
    AddNatChain,
    AddRoute,
    AddRouteRule,
    Change,
    ChangeLink,
    ForgetConnection,
    InsertLegacyRule,
    InsertNftRule,
    RemoveIpsecPolicy,
    RemoveRoute,
    RemoveRouteRule,
    SetSysctl,
)
from pktdiag.model.host import ArpSide, ConntrackEntry, ConntrackTuple, Gap, Link, Process, Route, RouteRule
from pktdiag.model.packet import Packet
from pktdiag.model.view import HostView, NamespaceView


class OverlayNamespace:
    """One namespace with the changes that concern it; everything else is asked of the namespace below."""

    def __init__(self, base: NamespaceView, changes: Sequence[Change], host: OverlayHost) -> None:
        self._base = base
        self._host = host
        self._changes = [change for change in changes if change.netns == base.id]
        self._links: Mapping[int, Link] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._base, name)

    def peer_namespace(self, nsid: int) -> NamespaceView | None:
        below = self._base.peer_namespace(nsid)
        return self._host.wrap(below) if below is not None else None

    def peer_namespaces(self, nsids: Sequence[int]) -> Mapping[int, NamespaceView]:
        return {nsid: self._host.wrap(below) for nsid, below in self._base.peer_namespaces(nsids).items()}

    def arp_side(self, ifindex: int, target: bytes, sender: bytes) -> ArpSide | None:
        return self._base.arp_side(ifindex, target, sender) if not self._changes else None

    # -- links and routes --------------------------------------------------------------------------------------------
    def _changed(self, link: Link) -> Link:
        for change in self._changes:
            if isinstance(change, ChangeLink) and change.ifindex == link.ifindex:
                fields = dict(change.fields)
                port = fields.pop("port", None)
                link = link._replace(**fields)  # type: ignore[arg-type]
                if isinstance(port, dict):
                    link = link._replace(port={**link.port, **port})
        return link

    def links(self) -> Mapping[int, Link]:
        if self._links is None:
            self._links = {index: self._changed(link) for index, link in self._base.links().items()}
        return self._links

    def link(self, ifindex: int) -> Link | None:
        link = self._base.link(ifindex)
        return self._changed(link) if link is not None else None

    def link_named(self, name: str) -> Link | None:
        link = self._base.link_named(name)
        return self._changed(link) if link is not None else None

    def ports(self, master: int) -> Sequence[Link]:
        if not any(isinstance(change, ChangeLink) for change in self._changes):
            return self._base.ports(master)
        return [link for link in self.links().values() if link.master == master]

    def links_of(self, kinds: tuple[str, ...]) -> Sequence[Link]:
        return [self._changed(link) for link in self._base.links_of(kinds)]

    def routes(self, family: int, table: int) -> Sequence[Route]:
        added = [change.route for change in self._changes
                 if isinstance(change, AddRoute) and change.family == family and change.route.table == table]
        gone = [change.route for change in self._changes if isinstance(change, RemoveRoute) and change.family == family]
        return [*added, *(route for route in self._base.routes(family, table) if route not in gone)]

    def learned_route(self, packet: Packet, oif: int, mark: int, own: bool) -> Route | None:
        if any(isinstance(change, AddRoute | RemoveRoute | AddRouteRule | RemoveRouteRule) for change in self._changes):
            return None  # a changed route has learned nothing
        return self._base.learned_route(packet, oif, mark, own)

    def route_rules(self, family: int) -> Sequence[RouteRule]:
        gone = {change.priority for change in self._changes if isinstance(change, RemoveRouteRule) and change.family == family}
        added = [change.rule for change in self._changes if isinstance(change, AddRouteRule) and change.family == family]
        left = [rule for rule in self._base.route_rules(family) if rule.priority not in gone]
        return sorted((*added, *left), key=lambda rule: rule.priority)  # stable: the added ones first

    def conntrack_get(self, tuple_: ConntrackTuple, reply: bool, zone: int) -> ConntrackEntry | None:
        found = self._base.conntrack_get(tuple_, reply, zone)
        gone = [change.orig for change in self._changes if isinstance(change, ForgetConnection)]
        return None if found is not None and found.orig in gone else found

    def xfrm_policies(self) -> tuple[tuple[bytes, ...], bytes]:
        policies, defaults = self._base.xfrm_policies()
        gone = {change.payload for change in self._changes if isinstance(change, RemoveIpsecPolicy)}
        return tuple(policy for policy in policies if policy not in gone), defaults

    def sysctl(self, path: str) -> str | None:
        for change in self._changes:
            if isinstance(change, SetSysctl) and change.path == path:
                return change.value
        return self._base.sysctl(path)

    # -- nf_tables ----------------------------------------------------------------------------------------------------
    def _nat_chains(self, family: int | None = None) -> list[AddNatChain]:
        return [change for change in self._changes
                if isinstance(change, AddNatChain) and (family is None or change.family == family)]

    def nft_generation(self) -> int | None:
        below = self._base.nft_generation()
        return below if below is not None or not self._nat_chains() else 1

    def nft_tables(self) -> Sequence[bytes]:
        families = dict.fromkeys(change.family for change in self._nat_chains())
        return [*self._base.nft_tables(), *(nft_rule.table(family) for family in families)]

    def nft_chains(self, family: int) -> Sequence[bytes]:
        added = [nft_rule.nat_chain(family, change.hook, change.priority) for change in self._nat_chains(family)]
        return [*self._base.nft_chains(family), *added]

    def nft_rules(self, family: int, table: str, chain: str) -> Sequence[bytes]:
        if table == nft_rule.TABLE_NAME:
            return [payload for change in self._nat_chains(family) if nft_rule.chain_name(change.hook) == chain
                    for payload in change.payloads]
        rules = list(self._base.nft_rules(family, table, chain))
        for change in self._changes:
            if isinstance(change, InsertNftRule) and (change.family, change.table, change.chain) == (family, table, chain):
                rules.insert(change.position, change.payload)
        return rules

    # -- legacy ---------------------------------------------------------------------------------------------------------
    def xt_table(self, family: int, table: str) -> tuple[bytes, bytes]:
        info, entries = self._base.xt_table(family, table)
        for change in self._changes:
            if isinstance(change, InsertLegacyRule) and (change.family, change.table) == (family, table):
                info, entries = xt_rule.insert(info, entries, change.chain, change.entry, family)
        return info, entries


class OverlayHost:
    """The whole host with changes in place."""

    def __init__(self, base: HostView, changes: Sequence[Change]) -> None:
        self._base = base
        self._changes = tuple(changes)
        self._wrapped: dict[str, NamespaceView] = {}

    def wrap(self, below: NamespaceView) -> NamespaceView:
        found = self._wrapped.get(below.id)
        if found is None:
            # Everything OverlayNamespace does not answer itself it delegates, which the type checker cannot see.
            found = self._wrapped[below.id] = cast(NamespaceView, OverlayNamespace(below, self._changes, self))
        return found

    def current_namespace(self) -> NamespaceView:
        return self.wrap(self._base.current_namespace())

    def namespace(self, inode: int) -> NamespaceView:
        return self.wrap(self._base.namespace(inode))

    def namespaces(self) -> Iterable[NamespaceView]:
        return [self.wrap(below) for below in self._base.namespaces()]

    def container_of(self, netns: str) -> str | None:
        return self._base.container_of(netns)

    def processes_in(self, netns: str) -> Sequence[Process]:
        return self._base.processes_in(netns)

    def kernel_has(self, module: str) -> bool:
        return self._base.kernel_has(module)

    def kernel_function(self, module: str, function: str) -> bool | None:
        return self._base.kernel_function(module, function)

    def kernel_member(self, module: str, structure: str, member: str) -> bool | None:
        return self._base.kernel_member(module, structure, member)

    def module_users(self, module: str) -> int | None:
        return self._base.module_users(module)

    def gaps(self) -> Sequence[Gap]:
        return self._base.gaps()

    def now(self) -> float:
        return self._base.now()
