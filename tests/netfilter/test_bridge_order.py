"""Which of br_netfilter and a bridge's own connection tracking has a frame last, where both have the last priority."""

from __future__ import annotations

from typing import Any

import pytest

from pktdiag.model.host import ConntrackTuple
from pktdiag.netfilter.bridge_hooks import detour_first
from pktdiag.netfilter.context import Conn, Skb

from .nft.test_fuzz import PACKET

LAST = 2**31 - 1


def first(order: list[str] | None, answers: bool = False, confirmed: bool = False) -> tuple[bool, list[str]]:
    asked: list[str] = []

    class Ns:
        id = "net:[1]"

        def nf_hooks(self, *_: object) -> list[tuple[int, str, str]] | None:
            return None if order is None else [(0, "nft_do_chain_bridge", "nf_tables"), *((LAST, name, "") for name in order)]

    class Services:
        def decide(self, condition: Any, key: object = None) -> bool:
            asked.append(condition.condition)
            return answers

    nothing = ConntrackTuple(b"", b"", 0, 0, 0)
    skb, ns, services = Skb(PACKET), Ns(), Services()
    skb.ct = Conn(nothing, nothing, "")
    skb.ct.confirmed = confirmed
    there: Any = ns
    real: Any = services
    return detour_first(real, there, skb), asked


def test_the_list_of_hooks_tells() -> None:
    assert first(["br_nf_post_routing", "nf_ct_bridge_post"]) == (True, [])
    assert first(["nf_ct_bridge_post", "br_nf_post_routing"], confirmed=True) == (False, [])


@pytest.mark.parametrize("answer", [True, False])
def test_without_one_it_is_a_question_of_new_connections(answer: bool) -> None:
    known, asked = first(None, answer)
    assert known is answer and "before the first bridge was made" in asked[0]
    assert first(None, answer, confirmed=True) == (False, [])
