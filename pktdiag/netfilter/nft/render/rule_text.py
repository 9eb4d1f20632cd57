"""A rule as the parts it is written in, in the syntax of the tool that made it."""

from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.load import ruleset
from pktdiag.netfilter.nft.render.builtin import BUILTIN, is_builtin
from pktdiag.netfilter.nft.render.parts import Part
from pktdiag.netfilter.nft.rule import Rule

BACKENDS = {2: "iptables-nft", 10: "iptables-nft", 3: "arptables-nft", 7: "ebtables-nft"}


def rule_parts(ns: NamespaceView, rule: Rule) -> tuple[str, list[Part]]:
    """(backend, parts): "iptables-nft" and its like for rules these tools made, "nft" for all others."""
    if rule.parts is None:
        rule.parts = _rule_parts(ns, rule)
    return rule.parts


def _rule_parts(ns: NamespaceView, rule: Rule) -> tuple[str, list[Part]]:
    expressions = list(rule.expressions())
    if made_by_iptables(ns, rule.family, rule.table):
        parts = _iptables_parts(ns, rule, expressions)
        if parts is not None:
            return BACKENDS[rule.family], parts
    from pktdiag.netfilter.nft.render.native import native_parts

    return "nft", native_parts(ns, rule, expressions)


def made_by_iptables(ns: NamespaceView, family: int, table: str) -> bool:
    """Whether a table has the name and only the base chains that iptables-nft would make (nft_is_table_compatible)."""
    if table not in BUILTIN.get(family, {}):
        return False
    return all(is_builtin(chain) for chain in ruleset(ns).base_chains(family) if chain.table == table)


def _iptables_parts(ns: NamespaceView, rule: Rule, expressions: list[Expression]) -> list[Part] | None:
    if rule.family in (2, 10):
        from pktdiag.netfilter.nft.render.iptables import iptables_parts

        return iptables_parts(rule.family, expressions, ns)
    if rule.family == 7:
        from pktdiag.netfilter.nft.render.ebtables import ebtables_parts

        return ebtables_parts(ns, rule, expressions)
    if rule.family == 3:
        from pktdiag.netfilter.nft.render.arptables import arptables_parts

        return arptables_parts(ns, expressions)
    return None
