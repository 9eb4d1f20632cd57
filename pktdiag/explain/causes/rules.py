"""A rule or a policy said no."""

from __future__ import annotations

from pktdiag.explain.causes import accept, owners
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside
from pktdiag.explain.causes.makers import maker, mixed_backends
from pktdiag.explain.causes.words import at, capital, comment_of, rejected, sentence, without_counter
from pktdiag.explain.whatif.changes import SetSysctl
from pktdiag.model.kernel import AF_INET, IPPROTO_TCP
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
    met = owners.element(case, rule)
    evidence = []
    if met:
        show = f"nft list map {rule.family} {rule.table} {met['set']}"
        evidence.append(f"It came to that rule by element {met['element']} of {met['set']}: {inside(case, show)}")
    meant = _invalid(case) if _about_invalid(rule) else owners.meaning(case, rule, who).proposals
    proposals = [*meant, *accept.proposals(case, rule, who)]
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
    meant = owners.meaning(case, rule, who).reason
    if meant:
        return meant
    said = comment_of(rule.text)
    if said:
        return f', whose comment says "{said}"'
    met = owners.element(case, rule)
    if met:
        return f": element {met['element']} (in {met['set']})"
    came, to = accept.devices(case)
    if rule.index == 0:
        way = f" from {came.name} to {to.name}" if came is not None and to is not None else ""
        return f": no rule accepts it{way}"
    text = without_counter(rule.text)
    return f": {text}" if len(text) <= LONGEST else ""


def _about_invalid(rule: RuleRef) -> bool:
    return any(mark in rule.text for mark in ("ctstate INVALID", "state INVALID", "ct state invalid", "ct state { invalid"))


def _invalid(case: Case) -> list[Proposal]:
    """What helps against packets that connection tracking calls invalid."""
    found = [Proposal("Lead both directions of the connection through this host, or open the connection anew", (), ())]
    if case.packet.proto == IPPROTO_TCP:
        loose, liberal = "net.netfilter.nf_conntrack_tcp_loose", "net.netfilter.nf_conntrack_tcp_be_liberal"
        found[:0] = [Proposal(why, (inside(case, f"sysctl -w {key}=1"),), (SetSysctl(case.ns.id, key.replace(".", "/"), "1"),))
                     for key, why in ((loose, "Let connection tracking take up connections it did not see start"),
                                      (liberal, "Let connection tracking accept segments outside the window"))
                     if case.ns.sysctl(key.replace(".", "/")) == "0"]
    return found
