"""A bridge rule of ebtables-nft that asks for a pkttype holds the match whose module was loaded when it was made."""

from __future__ import annotations

from typing import Any

import pytest

from pktdiag.model.kernel import NF_BR_LOCAL_OUT, NFPROTO_BRIDGE, NFPROTO_IPV4
from pktdiag.netfilter.context import HookContext, Skb
from pktdiag.netfilter.nft.exprs.match import Match
from pktdiag.netfilter.nft.load import Ruleset
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run

from .test_fuzz import PACKET, View

NOT_OTHERHOST = Match("pkttype", 0, bytes((3, 1, 0, 0, 0, 0, 0, 0)))
TO_THIS_HOST = Match("pkttype", 0, bytes((0, 0, 0, 0, 0, 0, 0, 0)))


def meets(match: Match, ebt: int | None, xt: int | None, answers: bool = True, pf: int = NFPROTO_BRIDGE) -> tuple[bool, list[str]]:
    asked: list[str] = []

    class Services:
        host = type("Host", (), {"module_users": staticmethod(lambda name: {"ebt_pkttype": ebt, "xt_pkttype": xt}[name])})

        def decide(self, condition: Any, key: object = None) -> bool:
            asked.append(condition.condition)
            return answers

    view: Any = View()
    services: Any = Services()
    run = Run(HookContext(services, view, pf, NF_BR_LOCAL_OUT, Skb(PACKET), None, None), pf, "t", Ruleset(view, pf, ()).sets(pf))
    return match.evaluate(Registers(), run) is None, asked


@pytest.mark.parametrize(("ebt", "xt", "matched"), [
    (None, None, True),  # both are built in
    (1, 0, True),
    (0, 1, False),  # ebtables' own was never loaded, since iptables' was there
    (0, None, False),
])
def test_which_match_an_inverted_rule_holds(ebt: int | None, xt: int | None, matched: bool) -> None:
    assert meets(NOT_OTHERHOST, ebt, xt) == (matched, [])
    assert meets(TO_THIS_HOST, ebt, xt) == (True, [])


@pytest.mark.parametrize("first", [True, False])
def test_where_both_are_used_it_is_a_question(first: bool) -> None:
    matched, asked = meets(NOT_OTHERHOST, 2, 1, first)
    assert matched is first and "ebt_pkttype" in asked[0]


def test_iptables_rules_hold_their_own() -> None:
    assert meets(Match("pkttype", 0, bytes((3, 0, 0, 0, 1, 0, 0, 0))), 0, 1, pf=NFPROTO_IPV4) == (True, [])
