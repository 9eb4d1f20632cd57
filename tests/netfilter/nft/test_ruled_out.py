"""Rules passed over by the fast path: the trace is the one that the whole evaluation gives."""

from __future__ import annotations

import pytest

from pktdiag.model.packet import Packet
from pktdiag.model.question import Question
from pktdiag.netfilter.nft.evaluate import _Walk
from pktdiag.netfilter.nft.ruled_out import RuledOut
from pktdiag.walk.api import trace

from .conftest import Router
from .test_against_kernel import DST, DST6, SRC, SRC6

pytestmark = pytest.mark.root
RULES = [
    *(f"ip daddr 203.0.113.{number} tcp dport {number} accept" for number in range(1, 60)),
    *(f"iifname \"up{number % 3}\" ip saddr 198.51.100.{number} counter drop" for number in range(3, 60)),
    *(f"counter ip saddr 198.51.100.{number} drop" for number in range(3, 9)),
    *(f"iifname \"up0\" oifname != \"down0\" meta mark {number} meta mark set {number + 1}" for number in range(9)),
    "meta mark set 5", "meta mark 5 counter", "meta mark 0 drop", "ip6 daddr 2001:db8:2::2 meta mark 5 counter", "ip dscp 5 drop",
    *(f"ip protocol != udp ip daddr != 203.0.113.{number} th sport > {number} meta mark set {number}" for number in range(20)),
]


def test_nothing_changes(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not router.nft("table inet quick { chain c { type filter hook forward priority -5; policy accept; }; }")
    for rule in RULES:
        assert not router.nft(f"add rule inet quick c {rule}"), rule
    looked_at: list[str] = []
    whole = _Walk.rule

    def noted(self: _Walk, rule):  # type: ignore[no-untyped-def]
        looked_at.append(rule.chain)
        return whole(self, rule)

    taken_apart: list[str] = []
    usual = RuledOut.by_expression

    def counted(self: RuledOut, rule):  # type: ignore[no-untyped-def]
        taken_apart.append(rule.chain)
        return usual(self, rule)

    monkeypatch.setattr(_Walk, "rule", noted)
    monkeypatch.setattr(RuledOut, "by_expression", counted)
    closer = every = 0
    try:
        for packet in (Packet(SRC, DST, 17, 40000, 53, length=32), Packet(SRC, DST, 6, 4000, 2, length=40, tcp_flags=2),
                       Packet(SRC, DST, 6, 4000, 80, length=40, tcp_flags=2), Packet(SRC6, DST6, 17, 4000, 53, length=52)):
            def ask():  # type: ignore[no-untyped-def]
                ns = router.view()
                looked_at.clear()
                found = trace(router.host, Question(ns.id, packet, ns.link_named("up0").ifindex))  # noqa: B023
                return found.request, looked_at.count("c")

            quick, few = ask()
            with monkeypatch.context() as patched:
                patched.setattr(RuledOut, "by_expression", lambda self, rule: -1)
                slow, many = ask()
            assert quick == slow
            closer += few
            every += many
        assert 0 < closer < every / 2
        assert 0 < taken_apart.count("c") < every * 2 / 3
    finally:
        router.nft("delete table inet quick")
