"""Random, truncated and flipped bytes never crash the decoders, and never make a match quietly fail."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter.context import HookContext, HookResult, Skb
from pktdiag.netfilter.nft import exprs, sets, tables
from pktdiag.netfilter.nft.load import Ruleset
from pktdiag.netfilter.nft.objects import decode_object
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.render.native import native_parts
from pktdiag.netfilter.nft.rule import Rule, names_in_front
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import Verdict
from pktdiag.netfilter.nft.wire import MalformedError, attributes

PACKET = Packet(parse_address("192.0.2.1"), parse_address("192.0.2.2"), 6, 1, 2)


class View:
    """A namespace without anything in it."""

    id = "net:[1]"

    def nft_generation(self) -> int:
        return 1

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None if name in ("link", "nft_set", "nft_set_get") else ()


class Services:
    host = type("Host", (), {"now": staticmethod(lambda: 0.0)})()
    conns: dict[object, object] = {}
    forced_state = None

    def decide(self, *args: object) -> bool:
        return True

    def address_type(self, *args: object) -> int:
        return 1

    def fib_lookup(self, *args: object, **kwargs: object) -> Any:
        from pktdiag.netfilter.context import FibResult

        return FibResult(1, 1, None)

    def __getattr__(self, name: str) -> Any:
        if name in ("nat_setup", "masquerade", "redirect"):
            return lambda *args: HookResult("accept")
        return lambda *args, **kwargs: None


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def run() -> Run:
    view: Any = View()
    services: Any = Services()
    return Run(HookContext(services, view, 2, 1, Skb(PACKET), None, None), 2, "t", Ruleset(view, 1, ()).sets(2))


words = st.integers(0, 0xFFFFFFFF).map(lambda number: number.to_bytes(4, "big"))
small = st.integers(0, 24).map(lambda number: number.to_bytes(4, "big"))
nested = st.binary(max_size=20).map(lambda value: attribute(1, value))
values = st.one_of(st.binary(max_size=40), words, small, nested, st.just(b"name\0"), st.integers(0, 255).map(lambda n: bytes((n,))))
bodies = st.lists(st.tuples(st.integers(0, 12), values), max_size=9).map(lambda pairs: b"".join(attribute(*pair) for pair in pairs))
expressions = st.tuples(st.sampled_from(sorted(exprs.MODULES)), bodies).map(
    lambda pair: attribute(1, pair[0].encode() + b"\0") + attribute(2, pair[1]))
relaxed = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(st.binary(max_size=200))
def test_random_bytes(raw: bytes) -> None:
    rule = Rule(raw, 2, "t", "c", 1)
    list(rule.expressions())
    assert rule.handle is None or rule.handle >= 0
    for decoder in (sets.decode_set, sets.decode_elements, tables.decode_table, tables.decode_chain, decode_object):
        try:
            decoder(raw)
        except MalformedError:
            continue
    exprs.decode(raw)


@relaxed
@given(expressions)
def test_every_expression_evaluates_and_prints(raw: bytes) -> None:
    made = exprs.decode(raw)
    regs = Registers()
    outcome = made.evaluate(regs, run())
    assert outcome is None or isinstance(outcome, Verdict | Doubt)
    if isinstance(made, exprs.UndecodedExpr):
        assert isinstance(outcome, Doubt)
    assert len(regs.data) == 80
    view: Any = View()
    body = attribute(4, attribute(1, raw))
    parts = native_parts(view, Rule(b"\0\0\0\0" + body, 2, "t", "c", 1), [made])
    assert all(isinstance(part.text, str) for part in parts)


@relaxed
@given(st.lists(expressions, max_size=6), st.integers(0, 300))
def test_truncated_rules(found: list[bytes], keep: int) -> None:
    payload = b"\2\0\0\0" + attribute(1, b"t\0") + attribute(4, b"".join(attribute(1, each) for each in found))
    whole = list(Rule(payload, 2, "t", "c", 1).expressions())
    assert len(whole) == len(found)
    rule = Rule(payload[:keep], 2, "t", "c", 1)
    cut = list(rule.expressions())
    assert len(cut) <= len(found) + 1
    native_parts(View(), rule, cut)  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", [b"", b"\0", b"\4\0\1\0", b"\xff" * 8, b"\3\0\0\0"])
def test_attributes_end_where_sense_ends(raw: bytes) -> None:
    assert set(attributes(raw)) <= {1}


@given(st.binary(max_size=24), st.binary(max_size=24), st.binary(max_size=60))
def test_what_rules_have_in_common_does_not_move_their_expressions(one: bytes, two: bytes, rest: bytes) -> None:
    """The beginning of another rule's message, whatever that is, is passed over only where it says no more than names."""
    name = struct.pack("=HH", 4 + len(one), 1) + one + bytes(-len(one) & 3)
    front = names_in_front(b"\2\0\0\0" + name + two)
    payload = b"\2\0\0\0" + name + rest
    assert Rule(payload, 2, "t", "c", 1, front).span() == Rule(payload, 2, "t", "c", 1).span()
