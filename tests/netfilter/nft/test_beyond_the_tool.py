"""Expressions that kernels have and Debian's nft 1.0.6 cannot write: last, and looking into tunnels."""

from __future__ import annotations

import struct

import pytest

from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter.nft.load import ruleset

from .conftest import Router, router
from .raw_rules import add_rule, equals, expression, payload

__all__ = ["router"]
pytestmark = pytest.mark.root

SRC, DST = parse_address("198.51.100.2"), parse_address("203.0.113.2")
KNOWN = frozenset(("tcp_seq", "tcp_ack", "tcp_window", "checksum", "ip_id"))
IN_TUNNEL = bytes.fromhex("0800000000002a00") + bytes(12) + b"\x08\x00" + struct.pack(
    ">BBHHHBBH4s4s", 0x45, 0, 36, 1, 0, 64, 17, 0, parse_address("10.9.0.1"), parse_address("10.9.0.2")) + struct.pack(">HHHH", 7, 53, 16, 0) + bytes(8)
PACKETS = {
    "vxlan": Packet(SRC, DST, 17, 40000, 4789, length=28 + len(IN_TUNNEL), payload=IN_TUNNEL, unknown=KNOWN),
    "udp": Packet(SRC, DST, 17, 40000, 53, length=36, payload=b"abcdefgh", unknown=KNOWN),
    "tcp": Packet(SRC, DST, 6, 40000, 80, length=40, unknown=KNOWN),
}
NETWORK, TRANSPORT = 1, 2
UDP, VXLAN_PORT = equals(b"\x11"), equals(struct.pack(">H", 4789))
COUNTER = expression("counter")


def within(base: int, offset: int, length: int) -> tuple[tuple[int, object], ...]:
    """``vxlan`` and a field of what it carries."""
    return expression("inner", ((1, 0), (2, 1), (3, 0xF), (4, 8), (5, payload(base, offset, length))))  # type: ignore[return-value]


RULES = (
    ("last", (expression("last"), COUNTER)),
    ("udp, last", (payload(NETWORK, 9, 1), UDP, expression("last"), COUNTER)),
    ("vxlan ip protocol udp", (payload(NETWORK, 9, 1), UDP, payload(TRANSPORT, 2, 2), VXLAN_PORT, within(NETWORK, 9, 1), UDP, COUNTER)),
    ("vxlan ip protocol tcp", (payload(NETWORK, 9, 1), UDP, payload(TRANSPORT, 2, 2), VXLAN_PORT, within(NETWORK, 9, 1), equals(b"\x06"), COUNTER)),
)


@pytest.fixture(scope="module")
def loaded(router: Router) -> Router:
    said = router.nft("add table ip raw\nadd chain ip raw c { type filter hook forward priority 3; }\n")
    assert not said, said
    for name, expressions in RULES:
        try:
            add_rule(router.names["router"], 2, "raw", "c", *expressions)
        except OSError as error:
            raise AssertionError(f"{name}: {error}") from error
    return router


def counters(router: Router) -> list[int]:
    view = router.view()
    return [rule.ref(view).packets or 0 for rule in ruleset(view).rules(2, "raw", "c")]


@pytest.mark.parametrize("name", PACKETS)
def test_counters_move_as_predicted(loaded: Router, name: str) -> None:
    found = loaded.asked(PACKETS[name])
    hits = [rule.index for rule in found.request.rules_hit if rule.table == "raw" and rule.index]
    unsure = [rule.index for rule in found.request.maybe_hit if rule.table == "raw"]
    before = counters(loaded)
    loaded.sent(PACKETS[name])
    moved = [number for number, (was, now) in enumerate(zip(before, counters(loaded)), 1) if now > was]
    assert set(hits) <= set(moved) <= {*hits, *unsure}
    assert unsure == ([3, 4] if name == "vxlan" else [])  # what a tunnel carries is not asked about
    assert moved == {"vxlan": [1, 2, 3], "udp": [1, 2], "tcp": [1]}[name]


def test_their_words(loaded: Router) -> None:
    view = loaded.view()
    texts = [rule.ref(view).text for rule in ruleset(view).rules(2, "raw", "c")]
    assert texts[0].startswith("last used ") and " counter packets " in texts[0]
    assert texts[2].startswith("udp dport 4789 vxlan @1,72,8 0x11 counter packets "), texts  # a place: no such nft is here to compare with
