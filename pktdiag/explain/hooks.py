"""What runs at each netfilter hook of a namespace, in the kernel's order: the data behind ``pktdiag hooks``."""

from __future__ import annotations

from pktdiag.explain.hook_owners import owners_of
from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    NFPROTO_ARP,
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    NFPROTO_NETDEV,
)
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import HostView, NamespaceView, Unreadable
from pktdiag.netfilter import bridge_hooks, hook_table, priorities, tracking
from pktdiag.netfilter.hook_table import Entry

_HOOKS = {NFPROTO_NETDEV: (0, 1), NFPROTO_BRIDGE: range(5), NFPROTO_ARP: range(3), NFPROTO_IPV4: range(5), NFPROTO_IPV6: range(5)}
_IPTABLES = {NFPROTO_IPV4: "iptables", NFPROTO_IPV6: "ip6tables", NFPROTO_ARP: "arptables", NFPROTO_BRIDGE: "ebtables"}
_HOOK_CHAINS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_ARP_CHAINS = ("INPUT", "OUTPUT", "FORWARD")


class HookEntry(NamedTuple):
    """One function at a hook."""

    priority: int
    priority_name: str
    """As nft names it: "dstnat", "filter + 10", or the bare number."""
    kind: str
    """"nft", "legacy", "nat", "conntrack", "confirm", "defrag", "kernel", "unknown"."""
    label: str
    """"ip filter FORWARD", "legacy table filter: FORWARD", "connection tracking"."""
    type: str
    """nft chain type ("filter", "nat", "route") or ""."""
    policy: str | None
    packets: int | None
    bytes: int | None
    """Of the policy, where the kernel counts it."""
    rules: int | None
    """Rules in this chain itself, chains it jumps to not counted."""
    owners: tuple[str, ...]
    """Programs that most likely put it, or what it jumps to, there."""
    show: str
    """The command that shows it."""
    order_unknown: bool
    """The neighbour before it has the same priority, and which is younger cannot be read."""
    inside: tuple[HookEntry, ...] = ()
    """What hangs inside the NAT hook."""


class Hook(NamedTuple):
    """One hook of one family (and device, for ingress and egress)."""

    family: str
    hook: str
    device: str
    entries: tuple[HookEntry, ...]


class HooksReport(NamedTuple):
    """Everything, for one namespace."""

    netns: str
    names: tuple[str, ...]
    hooks: tuple[Hook, ...]
    """Hooks with nothing at them are left out."""
    warnings: tuple[str, ...]
    gaps: tuple[str, ...]


def build(host: HostView, ns: NamespaceView) -> HooksReport:
    """Reads the chains of every family. What cannot be read becomes a gap."""
    hooks: list[Hook] = []
    gaps: list[str] = []
    for pf in (NFPROTO_NETDEV, NFPROTO_BRIDGE, NFPROTO_ARP, NFPROTO_IPV4, NFPROTO_IPV6):
        try:
            for device in _devices(ns) if pf == NFPROTO_NETDEV else (None,):
                for number in _HOOKS[pf]:
                    found = _at_hook(host, ns, pf, number, device)
                    if found:
                        hooks.append(Hook(priorities.FAMILY_NAMES[pf], priorities.hook_name(pf, number),
                                          device.name if device else "", found))
        except Unreadable as problem:
            remedy = f" ({problem.gap.remedy})" if problem.gap.remedy else ""
            gaps.append(f"{problem.gap.what}: {problem.gap.why}{remedy}")
    warnings = () if gaps else tuple(_warnings(ns, hooks))
    if not gaps and ns.nf_hooks(NFPROTO_IPV4, 0, None) is None:
        gaps.append("this kernel does not list its hooks (CONFIG_NETFILTER_NETLINK_HOOK): BPF programs and modules with hooks of "
                    "their own would not be seen")
    return HooksReport(ns.id, tuple(ns.names), tuple(hooks), warnings, tuple(dict.fromkeys(gaps)))


def _devices(ns: NamespaceView) -> list[Link]:
    """Interfaces that some netdev or inet ingress chain names."""
    from pktdiag.netfilter.nft.load import base_chains

    patterns = {device for family in (NFPROTO_NETDEV, NFPROTO_INET) for chain in base_chains(ns, family) for device in chain.devices}
    if not patterns:
        return []
    return [link for link in ns.links().values()
            if any(link.name == pattern or (pattern.endswith("*") and link.name.startswith(pattern[:-1])) for pattern in patterns)]


def _at_hook(host: HostView, ns: NamespaceView, pf: int, number: int, device: Link | None) -> tuple[HookEntry, ...]:
    entries = [entry for entry in hook_table.entries(ns, pf, number, device)
               if not entry.function or bridge_hooks.there(host, ns, entry.function) is not False]
    if all(entry.function for entry in entries):
        return ()
    if pf == NFPROTO_BRIDGE:
        entries = hook_table.in_order([*entries, *_br_netfilter(ns, number)])
    return _described(ns, pf, number, entries)


def _br_netfilter(ns: NamespaceView, number: int) -> list[Entry]:
    """br_nf_ops (net/bridge/br_netfilter_hooks.c): where bridged IP packets visit the IP hooks."""
    if number not in (0, 2, 4) or not any(ns.sysctl(f"net/bridge/bridge-nf-call-{kind}") == "1" for kind in ("iptables", "ip6tables")):
        return []
    priority = priorities.INT_MAX if number == 4 else priorities.BRIDGE_NETFILTER
    from pktdiag.netfilter.context import ACCEPT

    return [Entry(priority, "kernel", "br_netfilter: bridged IP packets visit the ip and ip6 hooks", lambda ctx: ACCEPT)]


def _described(ns: NamespaceView, pf: int, number: int, entries: list[Entry]) -> tuple[HookEntry, ...]:
    out = []
    for at, entry in enumerate(entries):
        unsure = at > 0 and not hook_table.certain(entries[at - 1], entry)
        made = _nft_entry(ns, entry, pf, number) if entry.chain else _legacy_entry(ns, pf, number, entry) if entry.table else HookEntry(
            entry.priority, _priority_name(pf, number, entry.priority), entry.kind, entry.label, "", None, None, None, None, (), "",
            False)
        out.append(made._replace(order_unknown=unsure, inside=_described(ns, pf, number, list(entry.inside))))
    return tuple(out)


def _nft_entry(ns: NamespaceView, entry: Entry, pf: int, number: int) -> HookEntry:
    chain = entry.chain
    assert chain is not None
    rules = ns.nft_rules(chain.family, chain.table, chain.name)
    names = [chain.table, chain.name, *_jumps(rules)]
    family = priorities.FAMILY_NAMES[chain.family]
    return HookEntry(entry.priority, _priority_name(pf, number, entry.priority), "nft", f"{family} {chain.table} {chain.name}", chain.type,
                     "drop" if chain.policy == 0 else "accept", chain.packets, chain.bytes, len(rules), owners_of(names),
                     f"nft list chain {family} {chain.table} {chain.name}", False)


def _jumps(rules: object) -> list[str]:
    """Names of chains the rules jump to: NFTA_VERDICT_CHAIN (type 2, a string) right behind NFTA_VERDICT_CODE."""
    found = []
    for rule in rules:  # type: ignore[attr-defined]
        for code in (b"\x08\x00\x01\x00\xff\xff\xff\xfd", b"\x08\x00\x01\x00\xff\xff\xff\xfc"):
            at = rule.find(code)
            if at >= 0 and rule[at + 10:at + 12] == b"\x02\x00":
                length = int.from_bytes(rule[at + 8:at + 10], "little")
                found.append(rule[at + 12:at + 8 + length].rstrip(b"\0").decode("utf-8", "surrogateescape"))
    return found


def _legacy_entry(ns: NamespaceView, pf: int, number: int, entry: Entry) -> HookEntry:
    from pktdiag.netfilter.xt.evaluate import load_table

    chain_name = (_ARP_CHAINS if pf == NFPROTO_ARP else _HOOK_CHAINS)[number]
    policy = packets = octets = count = None
    names: list[str] = []
    try:
        if pf != NFPROTO_BRIDGE:
            table = load_table(ns, pf, entry.table)
            chain = table.chains().get(chain_name)
            if chain is not None:
                policy, packets, octets, count = chain.policy, chain.packets, chain.bytes, len(chain.rules)
                names = [table.chain_starting_at(rule.verdict) for rule in chain.rules
                         if rule.verdict is not None and rule.verdict >= 0 and not rule.no_target]
    except ValueError:
        pass
    tool = f"{_IPTABLES.get(pf, 'iptables')}-legacy"
    return HookEntry(entry.priority, _priority_name(pf, number, entry.priority), "legacy", f"legacy table {entry.table}: {chain_name}",
                     "nat" if entry.table == "nat" else "filter", policy.lower() if policy else None, packets, octets, count,
                     owners_of(names), f"{tool} -t {entry.table} -nvL {chain_name}", False)


_NAMED = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_NAMED_BRIDGE = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}


def _priority_name(pf: int, number: int, priority: int) -> str:
    """std_prios of nftables (src/rule.c): a name within ten of a standard priority."""
    if priority == priorities.INT_MIN:
        return "first"
    if priority >= priorities.INT_MAX - 1:
        return "last" if priority == priorities.INT_MAX else "last - 1"
    for name, value in (_NAMED_BRIDGE if pf == NFPROTO_BRIDGE else _NAMED).items():
        if abs(priority - value) <= 10:
            shift = priority - value
            return name if not shift else f"{name} {'+' if shift > 0 else '-'} {abs(shift)}"
    return str(priority)


def _warnings(ns: NamespaceView, hooks: list[Hook]) -> list[str]:
    found = []
    for pf, family, tool in ((NFPROTO_IPV4, "ip", "iptables"), (NFPROTO_IPV6, "ip6", "ip6tables")):
        flat = [item for hook in hooks if hook.family == family for entry in hook.entries for item in (entry, *entry.inside)]
        legacy = sorted({item.label.split(":")[0] for item in flat if item.kind == "legacy" and (item.rules or item.policy == "drop")})
        nft = sorted({" ".join(item.label.split()[:2]) for item in flat if item.kind == "nft" and (item.rules or item.policy == "drop")})
        if legacy and nft:
            found.append(f"{'IPv4' if pf == NFPROTO_IPV4 else 'IPv6'} rules are held twice: {', '.join(legacy)} ({tool}-legacy) and "
                         f"nftables ({', '.join(nft)}). Every packet has to pass both, and {tool} shows only one of them: look with "
                         f"{tool}-legacy-save and with nft list ruleset.")
    seen = {f"{hook.family} {hook.hook}{' ' + hook.device if hook.device else ''}: {before.label} and {after.label}"
            for hook in hooks for before, after in zip(hook.entries, hook.entries[1:]) if after.order_unknown}
    found.extend(f"Same priority, and which of the two runs first cannot be read (the one registered later does): {pair}"
                 for pair in sorted(seen))
    found.extend(_dormant(ns))
    for pf, name in ((NFPROTO_IPV4, "IPv4"), (NFPROTO_IPV6, "IPv6")):
        facts = tracking.facts(ns, pf)
        if facts.nat and not facts.conntrack:
            found.append(f"There are NAT chains for {name}, but no rule needs connection tracking: nothing is tracked or translated.")
    return found


def _dormant(ns: NamespaceView) -> list[str]:
    from pktdiag.netfilter.nft.load import ruleset

    if ns.nft_generation() is None:
        return []
    return [f"nft table {priorities.FAMILY_NAMES.get(table.family, '?')} {table.name} is dormant: its chains are not attached"
            for table in ruleset(ns).tables() if table.dormant]


