"""Chains of many rules: what is passed over without being cut is what the whole comparison rules out, too."""

from __future__ import annotations

import random

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter.context import HookContext, Skb
from pktdiag.netfilter.xt.evaluate import load_table
from pktdiag.netfilter.xt.head import head_matches

from .conftest import Lab

pytestmark = pytest.mark.root


def test_nothing_that_may_match_is_passed_over(lab: Lab) -> None:
    dice = random.Random(7)
    rules = []
    for _ in range(400):
        words = [f"{dice.choice(('', '! '))}{option} 10.{dice.randrange(2)}.0.0/{dice.choice((8, 15, 16, 32))}"
                 for option in ("-s", "-d") if dice.random() < 0.5]
        words += [f"{dice.choice(('', '! '))}-p {dice.choice(('tcp', 'udp', '99'))}"] if dice.random() < 0.5 else []
        rules.append(f"-A INPUT {' '.join(words)}")
    lab.run("iptables-legacy-restore", stdin="\n".join(["*filter", *rules, "COMMIT", ""]))
    with LiveHost() as host:
        ns = host.namespace(lab.inode)
        table = load_table(ns, 2, "filter")
        chain = table.chains()["INPUT"]
        assert len(chain.rules) == 400
        for src, dst, proto in (("10.0.0.0", "10.1.0.0", 6), ("10.1.2.3", "192.0.2.1", 17), ("192.0.2.1", "10.0.0.7", 1)):
            packet = Packet(parse_address(src), parse_address(dst), proto)
            ctx = HookContext(None, ns, 2, 1, Skb(packet), None, None)  # type: ignore[arg-type]
            may = [rule.offset for rule in chain.rules if head_matches(rule.head, ctx, 2)]
            found, offset, number = [], chain.start, 1
            while True:
                offset, passed = table.pass_over(offset, packet.src, packet.dst, proto)
                number += passed
                if offset >= table.underflow[1]:
                    break
                assert chain.rules[number - 1].offset == offset
                found.append(offset)
                offset, number = table.next_offset(offset), number + 1
            assert found == may and 0 < len(may) < 400 and number == 401
