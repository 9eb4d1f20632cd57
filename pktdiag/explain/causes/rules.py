"""A rule or a policy said no."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.whatif import nft_rule, xt_rule
from pktdiag.explain.whatif.changes import Change, InsertLegacyRule, InsertNftRule, SetSysctl
from pktdiag.model.kernel import AF_INET, AF_INET6, NFPROTO_BRIDGE, NFPROTO_INET, PROTO_NAMES
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.trace import RuleRef
from pktdiag.model.view import Unreadable

_FAMILIES = {"ip": AF_INET, "ip6": AF_INET6, "inet": NFPROTO_INET, "bridge": NFPROTO_BRIDGE}
_BASE_CHAINS = {"prerouting": "PREROUTING", "input": "INPUT", "forward": "FORWARD", "output": "OUTPUT", "postrouting": "POSTROUTING"}


def dropped(case: Case) -> Finding:
    """Names the rule or the policy, who most likely made it, and what would let this packet pass it."""
    rule = case.drop.rule
    if rule is None:
        return Finding("", (case.drop.text,), ())
    what = f"the policy of {rule.chain}" if rule.index == 0 else f"rule {rule.index} of {rule.chain}"
    answered = f" and answered with {case.drop.answer}" if case.drop.answer else ""
    lost = "The answer is dropped" if case.is_reply else "Dropped"
    summary = f"{lost} by {what} (table {rule.table}, {rule.backend}) in {place(case)}{answered}: {rule.text}"
    evidence = [f"{rule.text}", f"Show it: {inside(case, rule.show)}"]
    if rule.packets is not None:
        evidence.append(f"Its counter stood at {rule.packets} packets when read; no SNMP counter moves for such a drop")
    bridged = _bridged(case)
    if bridged:
        evidence.append("The frame only crosses a bridge; it meets the IP rules because net.bridge.bridge-nf-call-"
                        f"{'iptables' if case.packet.family == AF_INET else 'ip6tables'}=1")
    mixed = _mixed_backends(case)
    if mixed:
        evidence.append(mixed)
    proposals = [proposal for proposal in (_accept(case, rule),) if proposal is not None]
    if bridged:
        proposals.append(_no_bridge_nf(case))
    return Finding(summary, tuple(evidence), tuple(proposals))


def _bridged(case: Case) -> bool:
    """Whether the drop happened to a frame a bridge was forwarding (br_netfilter)."""
    if case.drop.stage not in ("prerouting", "forward", "postrouting"):
        return False
    stages = [step.stage for step in case.leg.steps if step.netns == case.ns.id]
    return "bridge" in stages and "routing" not in stages


def _no_bridge_nf(case: Case) -> Proposal:
    name = "iptables" if case.packet.family == AF_INET else "ip6tables"
    return Proposal("keep bridged frames away from the IP rules (affects every bridge of the host)",
                    (inside(case, f"sysctl -w net.bridge.bridge-nf-call-{name}=0"),),
                    (SetSysctl(case.ns.id, f"net/bridge/bridge-nf-call-{name}", "0"),))


def _mixed_backends(case: Case) -> str:
    """A warning when iptables-legacy and nf_tables both hold rules: each tool shows its own half."""
    try:
        legacy = case.ns.xt_tables(case.packet.family)
        tables = case.ns.nft_tables()
    except Unreadable:
        return ""
    if legacy and tables:
        return ("iptables-legacy and nf_tables both hold rules here; each tool shows its own half: iptables-legacy-save, nft list ruleset")
    return ""


def _selector(packet: Packet) -> str:
    text = f"-s {format_address(packet.src)} -d {format_address(packet.dst)} -p {PROTO_NAMES.get(packet.proto, packet.proto)}"
    return text + (f" --dport {packet.dport}" if packet.has_ports else "")


def _accept(case: Case, rule: RuleRef) -> Proposal | None:
    """An accept in front of it. In Docker's world that belongs into DOCKER-USER."""
    packet = case.packet
    family = _FAMILIES.get(rule.family)
    if family is None:
        return None
    if rule.backend == "nft":
        selector = _nft_selector(packet)
        command = f"nft insert rule {rule.family} {rule.table} {rule.chain} {selector} accept"
        change: Change = InsertNftRule(case.ns.id, family, rule.table, rule.chain, _accept_payload(rule, family, rule.chain, packet))
        return Proposal("accept it in front of that rule", (inside(case, command),), (change,))
    tool = {"iptables-legacy": "iptables-legacy", "iptables-nft": "iptables"}.get(rule.backend)
    if tool is None:
        return None
    if rule.family == "ip6":
        tool = tool.replace("iptables", "ip6tables")
    chain = _BASE_CHAINS.get(case.drop.stage, rule.chain)
    if chain == "FORWARD" and rule.table == "filter" and _has_chain(case, rule, "DOCKER-USER"):
        chain = "DOCKER-USER"
    command = f"{tool} {'' if rule.table == 'filter' else f'-t {rule.table} '}-I {chain} {_selector(packet)} -j ACCEPT"
    if rule.backend == "iptables-nft":
        change = InsertNftRule(case.ns.id, family, rule.table, chain, _accept_payload(rule, family, chain, packet))
    else:
        entry = xt_rule.accept_entry(packet.family, packet.src, packet.dst, packet.proto)
        change = InsertLegacyRule(case.ns.id, packet.family, rule.table, chain, entry)
    why = "accept it before that rule is reached" if rule.index else f"accept it, so that the policy of {rule.chain} is not reached"
    return Proposal(why, (inside(case, command),), (change,))


def _nft_selector(packet: Packet) -> str:
    ip = "ip" if packet.family == AF_INET else "ip6"
    text = f"{ip} saddr {format_address(packet.src)} {ip} daddr {format_address(packet.dst)}"
    name = PROTO_NAMES.get(packet.proto, str(packet.proto))
    return text + (f" {name} dport {packet.dport}" if packet.has_ports else f" meta l4proto {name}")


def _accept_payload(rule: RuleRef, family: int, chain: str, packet: Packet) -> bytes:
    ports = nft_rule.match_port(packet.proto, packet.dport) if packet.has_ports else nft_rule.match_protocol(packet.proto)
    guard = nft_rule.meta_equal(15, bytes((packet.family,))) if family == NFPROTO_INET else b""
    expressions = (guard + nft_rule.match_address(packet.src, destination=False) + nft_rule.match_address(packet.dst, destination=True)
                   + ports + nft_rule.counter() + nft_rule.accept())
    return nft_rule.rule(family, rule.table, chain, expressions)


def _has_chain(case: Case, rule: RuleRef, chain: str) -> bool:
    try:
        if rule.backend == "iptables-legacy":
            _, entries = case.ns.xt_table(case.packet.family, rule.table)
            return chain.encode() + b"\0" in entries
        names = chain.encode() + b"\0", rule.table.encode() + b"\0"
        return any(all(name in payload for name in names) for payload in case.ns.nft_chains(_FAMILIES[rule.family]))
    except Unreadable:
        return False


def table_full(case: Case) -> Finding:
    """nf_conntrack: table full, dropping packet."""
    count = case.ns.conntrack_count()
    fill = f"{count[0]} of {count[1]}" if count else "full"
    return Finding(f"The connection tracking table of {place(case)} is full ({fill}): new connections are dropped, old ones live.",
                   (case.drop.text, f"drop and early_drop grow: {inside(case, 'cat /proc/net/stat/nf_conntrack')}"),
                   (Proposal("raise the limit (and buckets), shorten timeouts, or keep bulk traffic untracked",
                             (inside(case, "sysctl -w net.netfilter.nf_conntrack_max=262144"),), ()),))
