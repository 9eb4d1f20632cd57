"""A rule or a policy said no."""

from __future__ import annotations

from pktdiag.explain.causes import accept
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside
from pktdiag.explain.causes.makers import maker, mixed_backends
from pktdiag.explain.causes.words import at, capital, comment_of, rejected, sentence, without_counter
from pktdiag.explain.whatif.changes import SetSysctl
from pktdiag.model.kernel import AF_INET
from pktdiag.model.trace import RuleRef

LONGEST = 100
"""A rule text longer than this is left to the lines below the summary."""


def dropped(case: Case) -> Finding:
    """Names the rule or the policy, who most likely made it, and what would let this packet pass it."""
    rule = case.drop.rule
    if rule is None:
        return Finding(sentence(f"{capital(rejected(case))} {at(case)}: {case.drop.text}"), (), ())
    who = maker(case.ns, rule)
    owner = f"{who}'s " if who else ""
    name = f"{owner or 'the '}policy DROP of {rule.chain}" if rule.index == 0 else f"{owner}rule {rule.index} of {rule.chain}"
    lost = f"the answer is {rejected(case)}" if case.is_reply else rejected(case)
    summary = f"{lost} {at(case)} by {name} ({rule.backend}, table {rule.table}){_reason(case, rule, who)}"
    met = _element(case, rule)
    evidence = []
    if met:
        show = f"nft list map {rule.family} {rule.table} {met['set']}"
        evidence.append(f"It came to that rule by element {met['element']} of {met['set']}: {inside(case, show)}")
    proposals = [*_owners_way(case, rule, who), *accept.proposals(case, rule, who)]
    if accept.bridged(case):
        key = _bridge_switch(case)
        evidence.append(f"The frame only crosses a bridge; it meets the IP rules because {key}=1: {inside(case, 'sysctl ' + key)}")
        proposals.append(Proposal("Keep bridged frames away from the IP rules (for every bridge of the host)",
                                  (inside(case, f"sysctl -w {key}=0"),), (SetSysctl(case.ns.id, key.replace(".", "/"), "0"),)))
    if case.drop.cause == "queue":
        evidence.append(f"The queues that programs listen on, one a line: {inside(case, 'cat /proc/net/netfilter/nfnetlink_queue')}")
    mixed = mixed_backends(case.ns, case.packet.family)
    if mixed:
        summary += f"; {mixed}"
        tools = ("iptables-legacy-save" if case.packet.family == AF_INET else "ip6tables-legacy-save", "nft list ruleset")
        evidence.append(f"{capital(mixed)}: {' and '.join(inside(case, tool) for tool in tools)}")
        proposals.append(Proposal("Keep one backend: look at both halves, move what is needed into one, and flush the other",
                                  tuple(inside(case, tool) for tool in tools), ()))
    return Finding(sentence(summary), tuple(evidence), tuple(proposals))


def _bridge_switch(case: Case) -> str:
    return f"net.bridge.bridge-nf-call-{'iptables' if case.packet.family == AF_INET else 'ip6tables'}"


def _reason(case: Case, rule: RuleRef, who: str) -> str:
    """Why that rule met this packet, as the tail of the summary."""
    if _about_invalid(rule):
        return (": connection tracking calls the packet INVALID; it fits no connection this host knows (its start was not seen, or its "
                "packets take another way)")
    if accept.bridged(case):
        text = "" if rule.index == 0 else f": {without_counter(rule.text)}"
        return f"{text}, because br_netfilter takes bridged frames through the IP rules ({_bridge_switch(case)}=1)"
    if case.drop.cause == "queue":
        return f": {case.drop.text}"
    said = comment_of(rule.text)
    if said:
        return f', whose comment says "{said}"'
    met = _element(case, rule)
    if met:
        return f": {_without_endpoints(met) or 'element ' + met['element']} (in {met['set']})"
    if "DOCKER-ISOLATION" in rule.chain:
        return ": Docker keeps its networks apart, and the two are not on a common one"
    came, to = accept.devices(case)
    if rule.index == 0:
        way = f" from {came.name} to {to.name}" if came is not None and to is not None else ""
        return f": no rule accepts it{way}"
    text = without_counter(rule.text)
    return f": {text}" if len(text) <= LONGEST else ""


def _element(case: Case, rule: RuleRef) -> dict[str, str]:
    """The element of a named set that the dropping rule fell on, or of a map that led to its chain; empty for none."""
    table = (rule.netns, rule.backend, rule.family, rule.table)
    for step in case.leg.steps[::-1]:
        there = step.rule
        if there is None or (there.netns, there.backend, there.family, there.table) != table:
            continue
        same = (there.chain, there.index) == (rule.chain, rule.index)
        for met in reversed((step.detail or {}).get("elements", [])):
            if same or met["element"].endswith((f"goto {rule.chain}", f"jump {rule.chain}")):
                found: dict[str, str] = met
                return found
    return {}


def _without_endpoints(met: dict[str, str]) -> str:
    """What kube-proxy's maps say of a service, in its nftables mode: those without any endpoint reject, those whose policy is Local and
    that have none on this node drop (pkg/proxy/nftables/proxier.go)."""
    if not met.get("set", "").startswith("no-endpoint-"):
        return ""
    service = met["comment"] or met["element"].split(" : ")[0]
    return f"{service} has no {'local ' if met['element'].endswith(': drop') else ''}endpoints"


def _about_invalid(rule: RuleRef) -> bool:
    return any(mark in rule.text for mark in ("ctstate INVALID", "state INVALID", "ct state invalid", "ct state { invalid"))


def _owners_way(case: Case, rule: RuleRef, who: str) -> list[Proposal]:
    """What the program that made the rule offers for it. None of it can be tried on a view."""
    said = comment_of(rule.text) or _without_endpoints(_element(case, rule))
    if who == "kube-proxy" and said:
        service = said.split(":")[0].split(" ")[0]
        space, _, name = service.partition("/")
        plain = name and all(letter.isalnum() or letter in "-./" for letter in service)
        command = (f"kubectl -n {space} get endpoints {name}",) if plain else ()
        why = ("Give the service an endpoint on this node, or set its externalTrafficPolicy to Cluster" if "no local endpoints" in said
               else "Give the service ready endpoints: its selector must match pods that pass their readiness checks")
        return [Proposal(why, command, ())]
    if "DOCKER-ISOLATION" in rule.chain:
        return [Proposal("Connect both containers to a common Docker network", (inside(case, "docker network ls"),), ())]
    if _about_invalid(rule):
        found = [Proposal("Lead both directions of the connection through this host, or open the connection anew", (), ())]
        if case.packet.proto == 6:
            loose, liberal = "net.netfilter.nf_conntrack_tcp_loose", "net.netfilter.nf_conntrack_tcp_be_liberal"
            found[:0] = [Proposal(why, (inside(case, f"sysctl -w {key}=1"),), (SetSysctl(case.ns.id, key.replace(".", "/"), "1"),))
                         for key, why in ((loose, "Let connection tracking take up connections it did not see start"),
                                          (liberal, "Let connection tracking accept segments outside the window"))
                         if case.ns.sysctl(key.replace(".", "/")) == "0"]
        return found
    return []
