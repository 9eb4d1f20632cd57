"""arptables: the head as arptables-nft writes it, and the kernel's counters for an ARP request on the cable."""

from __future__ import annotations

import time

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.model.packet import Arp, Packet, parse_address
from pktdiag.model.question import Question
from pktdiag.netfilter.context import HookContext, Skb
from pktdiag.netfilter.xt.evaluate import run_table

from .conftest import Lab
from .oracle import MAC_A, Recorder, Wire, counters
from .test_against_kernel import wire

__all__ = ["wire"]

pytestmark = pytest.mark.root

RULES = """-s 198.51.100.0/24
-s 10.0.0.0/8
! -s 10.0.0.0/8
-d 198.51.100.2
! -d 198.51.100.2
-i eth+
! -i eth0
--source-mac 02:00:00:00:00:0a
--source-mac 02:00:00:00:00:0b
--source-mac 02:00:00:00:00:ff/ff:ff:ff:ff:ff:00
--opcode 1
--opcode 2
--h-type 1
--h-type 2
--proto-type 0x800
--h-length 6
-s 198.51.100.1 -d 198.51.100.2 --opcode 1
-j mangle --mangle-ip-s 203.0.113.9 --mangle-target CONTINUE
-s 203.0.113.9
-j MARK --set-mark 5
"""


def test_an_arp_request(lab: Lab, wire: Wire) -> None:
    for line in RULES.splitlines():
        lab.run("arptables-legacy", "-A", "INPUT", *line.split())
    request = bytes.fromhex("ff" * 6 + MAC_A.replace(":", "") + "0806" + "0001080006040001" + MAC_A.replace(":", ""))
    request += parse_address("198.51.100.1") + b"\0" * 6 + parse_address("198.51.100.2")
    with LiveHost() as host:
        ns = host.namespace(lab.inode)
        eth0 = ns.link_named("eth0")
        services = Recorder(host, Question(ns.id, Packet(b"\0" * 4, b"\0" * 4, 0)))
        skb = Skb(Packet(parse_address("198.51.100.1"), parse_address("198.51.100.2"), 0))
        skb.arp = Arp(1, bytes.fromhex(MAC_A.replace(":", "")), parse_address("198.51.100.1"), b"\0" * 6, parse_address("198.51.100.2"))
        run_table(HookContext(services, ns, 3, 0, skb, eth0, None), "filter")
        predicted = {(rule.chain, rule.index) for rule in services.walk.leg.hits}
        texts = [rule.text for rule in services.walk.leg.hits]
        before = counters(ns, 3)
        wire.raw.send(request)
        deadline = time.monotonic() + 3
        moved: set[tuple[str, int]] = set()
        while ("INPUT", 0) not in moved and time.monotonic() < deadline:
            host.refresh()
            moved = {(chain, index) for (_, chain, index), count in counters(ns, 3).items() if count != before["filter", chain, index]
                     and chain == "INPUT"}
    assert predicted == moved
    assert len(moved) > 10
    assert "-A INPUT -j MARK --set-mark 5" in texts
