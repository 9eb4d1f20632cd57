"""Rules and policies as the trace names them: ``RuleRef`` with text, counters and the command that shows them."""

from __future__ import annotations

from pktdiag.model.trace import Clause, RuleRef
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs.counter import Counter
from pktdiag.netfilter.nft.render.parts import Part
from pktdiag.netfilter.nft.render.rule_text import rule_parts
from pktdiag.netfilter.nft.rule import FAMILY_NAMES, Rule
from pktdiag.netfilter.nft.tables import BaseChain

IPTABLES = {"ip": "iptables-nft", "ip6": "ip6tables-nft", "arp": "arptables-nft", "bridge": "ebtables-nft"}


def rule_ref(ns: NamespaceView, rule: Rule) -> RuleRef:
    backend, parts = rule_parts(ns, rule)
    counter = next((each for each in rule.expressions() if isinstance(each, Counter)), None)
    family = FAMILY_NAMES.get(rule.family, str(rule.family))
    text = " ".join(part.text for part in parts)
    if backend == "nft":
        show = f"nft -a list chain {family} {rule.table} {rule.chain}"
    else:
        text = f"-A {rule.chain} {text}" if text else f"-A {rule.chain}"
        if backend == "ebtables-nft" and rule.userdata:
            text = _user_policy(rule) or text
        show = _show_iptables(family, rule.table, rule.chain, rule.index)
    return RuleRef(ns.id, backend, family, rule.table, rule.chain, rule.handle, rule.index, text, show,
                   counter.packets if counter else None, counter.bytes if counter else None)


def _user_policy(rule: Rule) -> str | None:
    """The policy of a user chain is a rule of its own in ebtables-nft."""
    from pktdiag.netfilter.nft.exprs.immediate import ImmediateVerdict
    from pktdiag.netfilter.nft.render.ebtables import is_policy

    verdict = next((each.verdict.code for each in rule.expressions() if isinstance(each, ImmediateVerdict)), None)
    names = {0: "DROP", 1: "ACCEPT", -5: "RETURN"}
    return f"-P {rule.chain} {names.get(verdict, verdict)}" if is_policy(rule.userdata) and verdict is not None else None


def _show_iptables(family: str, table: str, chain: str, index: int | None) -> str:
    tool = IPTABLES.get(family, "iptables-nft")
    if family == "bridge":
        return f"{tool} -t {table} -L {chain} --Lc --Ln"
    place = f" {index}" if index else ""
    return f"{tool} -t {table} -v -n -L {chain}{place}"


def policy_ref(ns: NamespaceView, chain: BaseChain) -> RuleRef:
    """The policy of a base chain, index 0."""
    from pktdiag.netfilter.nft.render.builtin import is_builtin

    family = FAMILY_NAMES.get(chain.family, str(chain.family))
    policy = "ACCEPT" if chain.policy else "DROP"
    if is_builtin(chain):
        backend, text = IPTABLES.get(family, "iptables-nft"), f"-P {chain.name} {policy}"
        show = _show_iptables(family, chain.table, chain.name, None)
    else:
        backend, text = "nft", f"policy {policy.lower()}"
        show = f"nft list chain {family} {chain.table} {chain.name}"
    packets, octets = chain.counter or (None, None)
    return RuleRef(ns.id, backend, family, chain.table, chain.name, None, 0, text, show, packets, octets)


def rule_clauses(ns: NamespaceView, rule: Rule, failed: int) -> tuple[Clause, ...]:
    """The rule part by part: what came before expression ``failed`` matched, what holds it did not. -1: all matched."""
    _, parts = rule_parts(ns, rule)
    return tuple(Clause(part.text, _matched(part, failed)) for part in parts if part.text)


def _matched(part: Part, failed: int) -> bool | None:
    if failed < 0 or part.last < failed:
        return True
    return False if part.first <= failed else None
