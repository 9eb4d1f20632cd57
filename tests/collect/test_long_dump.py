"""The rules of a long chain, read as far as somebody looks at them, while others change the ruleset."""

from __future__ import annotations

import pytest

from pktdiag.collect.long_dump import LongDump
from pktdiag.collect.netlink import first_of
from pktdiag.model.view import Unreadable

from .conftest import Lab

COUNT = 1500


def _chain(lab: Lab, count: int = COUNT) -> None:
    lab.add("l")
    rules = "".join(f"ip daddr 11.0.{number >> 8}.{number & 255} tcp dport {number + 1} counter drop\n" for number in range(count))
    lab.run("l", "nft -f -", f"table ip t {{ chain c {{\n{rules} }}; }}")


def _handle(payload: bytes) -> int:
    return int.from_bytes(first_of(3, payload, 4) or b"", "big")


def test_the_rest_is_read_when_it_is_looked_at(lab: Lab) -> None:
    _chain(lab)
    view = lab.fresh("l")
    rules = view.nft_rules(2, "t", "c")
    assert isinstance(rules, LongDump)
    assert 0 < len(rules.ready) < COUNT / 3
    assert view.nft_generation() is not None and len(view.nft_chains(2)) == 1  # the socket for these is another one by now
    first = rules[0]
    assert len(rules.ready) < COUNT / 3 and rules[COUNT // 2] is rules.ready[COUNT // 2] and len(rules.ready) < COUNT
    handles = [_handle(payload) for payload in rules]
    assert len(handles) == len(rules) == COUNT and handles == sorted(handles) and rules[0] is first and rules[-1] is rules.ready[-1]
    with pytest.raises(IndexError):
        rules[COUNT]
    assert view.nft_rules(2, "t", "c") is rules


def test_a_short_chain_is_there_at_once(lab: Lab) -> None:
    _chain(lab, 3)
    assert isinstance(lab.fresh("l").nft_rules(2, "t", "c"), tuple)


def test_a_change_behind_what_was_read_is_seen(lab: Lab) -> None:
    _chain(lab)
    rules = lab.fresh("l").nft_rules(2, "t", "c")
    before = [rules[number] for number in range(3)]
    lab.run("l", "nft add rule ip t c accept")
    assert len(rules) == COUNT + 1 and [rules[number] for number in range(3)] == before
    assert len({_handle(payload) for payload in rules}) == COUNT + 1


def test_a_change_in_front_of_it_is_a_gap(lab: Lab) -> None:
    _chain(lab)
    view = lab.fresh("l")
    rules = view.nft_rules(2, "t", "c")
    lab.run("l", f"nft delete rule ip t c handle {_handle(rules[1])}")
    for _ in range(2):
        with pytest.raises(Unreadable, match="nftables rules"):
            len(rules)
    assert "kept changing" in view.host.gaps()[-1].why  # type: ignore[attr-defined]
    assert len(lab.fresh("l").nft_rules(2, "t", "c")) == COUNT - 1


def test_a_chain_that_vanishes_is_a_gap(lab: Lab) -> None:
    _chain(lab)
    rules = lab.fresh("l").nft_rules(2, "t", "c")
    lab.run("l", "nft delete table ip t")
    with pytest.raises(Unreadable):
        len(rules)
