"""Everything registered at one hook of one family, in the order in which the kernel runs it.

Source: net/netfilter/core.c (nf_hook_entries_grow: ascending priority, and a newcomer goes *before* those of equal
priority), net/netfilter/nf_nat_core.c (nf_nat_register_fn: nat chains hang inside one NAT hook), nf_tables_api.c
(nf_tables_register_hook: a dormant table registers nothing).
"""

from __future__ import annotations

from pktdiag.conntrack import track
from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    NF_BR_LOCAL_IN,
    NF_BR_POST_ROUTING,
    NF_BR_PRE_ROUTING,
    NF_INET_INGRESS,
    NF_NETDEV_INGRESS,
    NFPROTO_ARP,
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    NFPROTO_NETDEV,
)
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter import priorities, tracking
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.nat_hook import run_nat
from pktdiag.netfilter.own_hooks import defragment, ingress_as_inet, unknown_function
from pktdiag.netfilter.rerouting import rerouting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktdiag.netfilter.nft.tables import BaseChain

    Runner = Callable[[HookContext], HookResult]


class Entry(NamedTuple):
    """One function hanging at a hook."""

    priority: int
    kind: str
    """"nft", "legacy", "nat" (the NAT hook, with what hangs inside), "conntrack", "confirm", "defrag", "kernel", "unknown"."""
    label: str
    run: Runner
    age: tuple[str, int, int] | None = None
    """nft chains: (table key, table handle, chain handle). Chain handles count within one table, table handles in all."""
    chain: BaseChain | None = None
    table: str = ""
    """Legacy table name."""
    inside: tuple[Entry, ...] = ()
    """For the NAT hook: the nat chains and tables, in order."""
    function: str = ""
    """Of the kernel's own that not every kernel has."""


def _given(run: Callable[..., HookResult], /, **named: object) -> Runner:
    """functools.partial; its module costs 0.1 ms of start-up."""
    return lambda ctx: run(ctx, **named)


def entries(ns: NamespaceView, pf: int, hook: int, device: Link | None) -> tuple[Entry, ...]:
    """Everything at the hook, in order. Raises Unreadable where the rules could not be read."""
    found: list[Entry] = []
    nat: list[Entry] = []
    for entry in [*_nft(ns, pf, hook, device), *_legacy(ns, pf, hook)]:
        inside_nat = entry.kind == "nat"
        (nat if inside_nat else found).append(entry._replace(kind="nft" if entry.chain else "legacy"))
    if pf in (NFPROTO_IPV4, NFPROTO_IPV6):
        facts = tracking.facts(ns, pf)
        if facts.defrag and hook in priorities.CONNTRACK_HOOKS:
            found.append(Entry(priorities.CONNTRACK_DEFRAG, "defrag", "defragmentation", defragment))
        if facts.conntrack and hook in priorities.CONNTRACK_HOOKS:
            found.append(Entry(priorities.CONNTRACK, "conntrack", "connection tracking", track.conntrack_in))
        if facts.conntrack and hook in priorities.CONFIRM_HOOKS:
            found.append(Entry(priorities.confirm_priority(pf, hook), "confirm", "connection tracking: confirm", track.confirm))
        if facts.nat and hook in priorities.NAT_HOOKS:
            inside = tuple(in_order(nat))
            found.append(Entry(priorities.nat_priority(hook), "nat", "NAT", _given(run_nat, inside=inside), inside=inside))
        for priority, function, module in facts.others(hook):
            found.append(Entry(priority, "unknown", function, _given(unknown_function, function=function, module=module)))
    elif pf == NFPROTO_BRIDGE and hook in (NF_BR_PRE_ROUTING, NF_BR_LOCAL_IN, NF_BR_POST_ROUTING):
        found += _of_bridges(ns, hook)
    return tuple(in_order(found))


def _of_bridges(ns: NamespaceView, hook: int) -> list[Entry]:
    """What nf_conntrack_bridge has there, and br_netfilter at LOCAL_IN; its detours through the IP hooks are the walk's own."""
    tracks = tracking.on_bridges(ns)
    detours = hook == NF_BR_LOCAL_IN and ns.sysctl("net/bridge/bridge-nf-call-iptables") is not None
    if not tracks and not detours:
        return []
    from pktdiag.netfilter import bridge_hooks

    if hook == NF_BR_PRE_ROUTING:
        return [Entry(priorities.CONNTRACK, "conntrack", "connection tracking", _given(bridge_hooks.tracked, run=track.conntrack_in))]
    if hook == NF_BR_POST_ROUTING:
        return [Entry(priorities.INT_MAX, "confirm", "connection tracking: confirm",
                      _given(bridge_hooks.on_the_way_out, run=track.confirm))]
    made: list[tuple[str, str, Runner]] = []
    if tracks:
        made.append(("nf_ct_bridge_in", "connection tracking: broadcasts are tracked anew above", bridge_hooks.tracked_anew))
    if detours:
        made.append(("br_nf_local_in", "br_netfilter: broadcasts are confirmed", _given(bridge_hooks.settled, confirm=track.confirm)))
    ranks = [bridge_hooks.rank(ns, function) if len(made) > 1 else None for function, _, _ in made]
    return [Entry(priorities.INT_MAX, "kernel", label, run, None if rank is None else ("listed", 0, -rank), function=function)
            for (function, label, run), rank in zip(made, ranks)]


def hooks_devices(ns: NamespaceView) -> bool:
    """Whether anything may hang at the ingress or egress of some device. Raises Unreadable."""
    from pktdiag.netfilter.nft.load import base_chains

    return any(base_chains(ns, family) for family in _chain_families(NFPROTO_NETDEV))


def in_order(found: Sequence[Entry]) -> list[Entry]:
    """Ascending priority; among equals the younger first as far as handles tell, see :func:`certain`."""
    return sorted(found, key=lambda entry: (entry.priority, _KIND_ORDER.get(entry.kind, 1), _youth(entry)))


_KIND_ORDER = {"nft": 0, "unknown": 1, "legacy": 2, "nat": 3, "conntrack": 3, "confirm": 3, "defrag": 3}
"""A guess for ties that nothing decides: nft rulesets are loaded after the kernel's own hooks were registered."""


def _youth(entry: Entry) -> tuple[int, int]:
    return (-entry.age[1], -entry.age[2]) if entry.age else (0, 0)


def certain(first: Entry, second: Entry) -> bool:
    """Whether the order of two entries of equal priority is known: chains of one table, told apart by their handles."""
    return (first.priority != second.priority
            or (first.age is not None and second.age is not None and first.age[0] == second.age[0]))


def _chain_families(pf: int) -> tuple[int, ...]:
    if pf in (NFPROTO_IPV4, NFPROTO_IPV6):
        return (pf, NFPROTO_INET)
    return (NFPROTO_NETDEV, NFPROTO_INET) if pf == NFPROTO_NETDEV else (pf,)


def _nft(ns: NamespaceView, pf: int, hook: int, device: Link | None) -> list[Entry]:
    from pktdiag.netfilter.nft.load import base_chains, ruleset

    found = []
    for family in _chain_families(pf):
        for chain in base_chains(ns, family):
            if chain.dormant or not _hangs_here(chain, pf, hook, device):
                continue
            key = f"{family} {chain.table}"
            made = next((table.handle for table in ruleset(ns).tables() if table.family == family and table.name == chain.table), 0)
            label = f"{priorities.FAMILY_NAMES.get(chain.family, chain.family)} {chain.table} {chain.name}"
            found.append(Entry(chain.priority, "nat" if chain.type == "nat" else "nft", label, _chain_runner(pf, chain),
                               (key, made, chain.handle), chain))
    return found


def _hangs_here(chain: BaseChain, pf: int, hook: int, device: Link | None) -> bool:
    if pf != NFPROTO_NETDEV:
        return chain.hook == hook and not (chain.family == NFPROTO_INET and chain.hook == NF_INET_INGRESS)
    if chain.family == NFPROTO_INET:
        if chain.hook != NF_INET_INGRESS or hook != NF_NETDEV_INGRESS:
            return False
    elif chain.hook != hook:
        return False
    return device is not None and any(_names(pattern, device.name) for pattern in chain.devices)


def _names(pattern: str, name: str) -> bool:
    """A device of a chain; a trailing ``*`` is NFTA_DEVICE_PREFIX (v6.16)."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _chain_runner(pf: int, chain: BaseChain) -> Runner:
    from pktdiag.netfilter.nft.evaluate import run_base_chain

    if pf == NFPROTO_NETDEV and chain.family == NFPROTO_INET:
        return _given(ingress_as_inet, chain=chain)

    def run(ctx: HookContext) -> HookResult:
        return run_base_chain(ctx, chain)

    return rerouting(run) if chain.type == "route" else run


def _legacy(ns: NamespaceView, pf: int, hook: int) -> list[Entry]:
    if pf not in (NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_ARP, NFPROTO_BRIDGE):
        return []
    from pktdiag.netfilter.xt.load import legacy_hooks

    found = []
    for table, numbers, priority in legacy_hooks(ns, pf):
        if hook in numbers:
            nat = table == "nat" and pf in (NFPROTO_IPV4, NFPROTO_IPV6)

            def run(ctx: HookContext, table: str = table) -> HookResult:
                from pktdiag.netfilter.xt.evaluate import run_table
                return run_table(ctx, table)

            runner = rerouting(run) if table == "mangle" else run
            found.append(Entry(priority, "nat" if nat else "legacy", f"legacy table {table}", runner, None, None, table))
    return found
