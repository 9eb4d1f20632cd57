"""Every match of matches.txt in three chains of a router, real packets through it, and the kernel's counters as the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter.nft.load import ruleset

from .conftest import Router

pytestmark = pytest.mark.root
MATCHES = [line for line in (Path(__file__).parent / "matches.txt").read_text().splitlines() if line and line[0] != "#"]
CHAINS = {
    "pre": "type filter hook prerouting priority -150; policy accept;",
    "mid": "type filter hook forward priority 0; policy accept;",
    "post": "type filter hook postrouting priority 50; policy accept;",
}
TABLE = """
table inet t {
  set hosts { type ipv4_addr; elements = { 203.0.113.2, 10.0.0.1 } }
  set nets { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 10.0.0.0/8 } }
  set edges { type ipv4_addr; flags interval; elements = { 203.0.113.3-203.0.113.9, 203.0.113.0-203.0.113.1 } }
  set pairs { type ipv4_addr . inet_service; flags interval; elements = { 198.51.100.0/25 . 50-60, 198.51.100.2 . 80 } }
  set six { type ipv6_addr; flags interval; elements = { 2001:db8:2::/64 } }
  set ports { type inet_service; elements = { 53, 80, 443 } }
  set dyn { type ipv4_addr; flags dynamic,timeout; timeout 1m; size 128; }
  set slow { type ipv4_addr; flags dynamic; size 128; }
  set slow2 { type ipv4_addr; flags dynamic; size 128; }
  set cold { type ipv4_addr; flags timeout; }
  set warm { type ipv4_addr; flags timeout; elements = { 198.51.100.2 timeout 1h } }
  set closed { type ipv4_addr; counter; elements = { 198.51.100.2 } }
  counter hits { }
  quota left { over 1 mbytes }
  chain pre { %(pre)s }
  chain mid { %(mid)s }
  chain post { %(post)s }
}
""" % CHAINS  # noqa: UP031  # braces are nft's

SRC, DST = parse_address("198.51.100.2"), parse_address("203.0.113.2")
SRC6, DST6 = parse_address("2001:db8:1::2"), parse_address("2001:db8:2::2")
MSS = bytes.fromhex("020405b4")
PACKETS = {
    "udp": Packet(SRC, DST, 17, 40000, 53, length=32, payload=b"abcd"),
    "udp-big": Packet(SRC, DST, 17, 40001, 5353, length=1028, payload=b"x" * 1000, df=False, tos=0xB8, ttl=3),
    "syn": Packet(SRC, DST, 6, 40002, 80, length=60, tcp_options=MSS + bytes.fromhex("0402080a0000000100000000010303") + b"\x07",
                  tcp_flags=2),
    "synack": Packet(SRC, DST, 6, 40003, 443, length=44, tcp_options=MSS, tcp_flags=0x12),
    "ack": Packet(SRC, DST, 6, 40004, 22, length=40, tcp_flags=0x10),
    "echo": Packet(SRC, DST, 1, icmp_type=8, icmp_id=7, length=84, payload=bytes(56)),
    "unreach": Packet(SRC, DST, 1, icmp_type=3, icmp_code=1, length=56, inner=Packet(
        DST, SRC, 17, 53, 41000, length=28), payload=b""),
    "sctp": Packet(SRC, DST, 132, 40005, 80, length=48),
    "gre": Packet(SRC, DST, 47, length=60),
    "udp6": Packet(SRC6, DST6, 17, 40000, 53, length=52, payload=b"abcd"),
    "syn6": Packet(SRC6, DST6, 6, 40002, 80, length=64, tcp_options=MSS, tcp_flags=2),
    "echo6": Packet(SRC6, DST6, 58, icmp_type=128, icmp_id=7, length=104, payload=bytes(56), tos=0x20),
}
# The SCTP packet carries no valid chunk, which conntrack minds and pktdiag cannot know; skb->priority is the walk's.
NOT_OURS = {"sctp": ("ct ",), "udp-big": ("meta priority",)}


@pytest.fixture(scope="module")
def loaded(router: Router) -> Router:
    assert not router.nft(TABLE)
    refused = []
    for chain in CHAINS:
        for match in MATCHES:
            if router.nft(f"add rule inet t {chain} {match} counter"):
                refused.append((chain, match))
    assert len(refused) < 60, refused
    return router


def counted(router: Router) -> dict[tuple[str, int], int]:
    view = router.view()
    found = {}
    for chain in CHAINS:
        for rule in ruleset(view).rules(1, "t", chain):
            found[chain, rule.index] = rule.ref(view).packets or 0
    return found


@pytest.mark.parametrize("name", PACKETS)
def test_counters_move_as_predicted(loaded: Router, name: str) -> None:
    packet = PACKETS[name]
    loaded.run("conntrack", "-F", check=False)
    loaded.run("nft", "reset", "counters")
    view = loaded.view()
    found = loaded.asked(packet)
    hits = {(hit.chain, hit.index) for hit in found.request.rules_hit if hit.index and hit.netns == view.id}
    unsure = {(step.rule.chain, step.rule.index) for step in found.request.steps if step.rule and "only if" in step.text}
    before = counted(loaded)
    loaded.sent(packet)
    after = counted(loaded)
    moved = {key for key, packets in after.items() if packets > before[key]}
    view = loaded.view()
    texts = {(chain, rule.index): rule.ref(view).text for chain in CHAINS for rule in ruleset(view).rules(1, "t", chain)}
    wrong = [f"{'predicted' if key in hits else 'missed'}: {key} {texts[key]}" for key in sorted(moved ^ hits)
             if key not in unsure and not any(word in texts[key] for word in NOT_OURS.get(name, ()))]
    assert not wrong, "\n".join(wrong)
    assert moved, "the packet never came by"
    assert len(unsure) <= 60, sorted(texts[key] for key in unsure)
