"""Rules that look at IPv4 options, IPv6 extension headers and fragments: real packets past nft, iptables-nft and legacy rules of a
router, and the counters of the kernel as the judge."""

from __future__ import annotations

import pytest

from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter.nft.load import ruleset
from pktdiag.netfilter.xt.evaluate import load_table

from .nft.conftest import Router, router

__all__ = ["router"]
pytestmark = pytest.mark.root

SRC, DST = parse_address("198.51.100.2"), parse_address("203.0.113.2")
SRC6, DST6 = parse_address("2001:db8:1::2"), parse_address("2001:db8:2::2")
KNOWN = frozenset(("tcp_seq", "tcp_ack", "tcp_window", "checksum", "ip_id"))


def udp6(headers: tuple[tuple[int, bytes], ...], port: int = 53, **fields: object) -> Packet:
    size = 40 + sum(len(data) for _, data in headers) + 8 + 8
    made = Packet(SRC6, DST6, 17, 40000, port, length=size, payload=b"abcdefgh", unknown=KNOWN, ext_headers=headers)
    return made._replace(**fields)  # type: ignore[arg-type]


def udp4(options: str, port: int = 53, **fields: object) -> Packet:
    raw = bytes.fromhex(options)
    made = Packet(SRC, DST, 17, 40000, port, length=20 + len(raw) + 16, payload=b"abcdefgh", unknown=KNOWN, ip_options=raw)
    return made._replace(**fields)  # type: ignore[arg-type]


PAD6, PAD14 = bytes((0, 0, 1, 4)) + bytes(4), bytes((0, 1, 1, 4, 0, 0, 0, 0, 0x1E, 6)) + bytes(6)
ALERT = bytes((0, 0, 5, 2, 0, 0, 1, 0))
RT0 = bytes((0, 2, 0, 0)) + bytes(4) + parse_address("2001:db8::7")
RT0_LEFT = bytes((0, 4, 0, 2)) + bytes(4) + parse_address("2001:db8::7") + parse_address("2001:db8::8")
RT2 = bytes((0, 2, 2, 1)) + bytes(4) + parse_address("2001:db8::9")
SRH = bytes((0, 4, 4, 1, 1, 0)) + (7).to_bytes(2, "big") + parse_address("2001:db8::a") + parse_address("2001:db8::b")
AUTH = bytes((0, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9)) + b"i" * 12


def frag(offset: int, more: bool, number: int = 5, reserved: int = 0) -> tuple[int, bytes]:
    return 44, bytes((0, reserved)) + (offset | more).to_bytes(2, "big") + number.to_bytes(4, "big")


PACKETS = {
    "hbh padding": udp6(((0, PAD6),)),
    "hbh two options": udp6(((0, PAD14),)),
    "hbh alert, dst": udp6(((0, ALERT), (60, PAD6))),
    "dst": udp6(((60, PAD14),)),
    "rt0": udp6(((43, RT0),)),
    "rt0 left": udp6(((43, RT0_LEFT),)),
    "rt2": udp6(((43, RT2),)),
    "srh": udp6(((43, SRH),)),
    "all of them": udp6(((0, PAD6), (60, PAD6), (43, RT0), (60, PAD14))),
    "ah": udp6(((51, AUTH),)),
    "ah behind dst": udp6(((60, PAD6), (51, AUTH))),
    "atomic fragment": udp6((frag(0, False, 9),)),
    "first fragment": udp6((frag(0, True),), more_fragments=True),
    "first fragment and dst": udp6((frag(0, True, 77), (60, PAD6)), more_fragments=True),
    "middle fragment": udp6((frag(16, True),), more_fragments=True, fragment_offset=16, length=40 + 8 + 16),
    "last fragment": udp6(((0, PAD6), frag(160, False, 6, 1)), fragment_offset=160, length=40 + 8 + 8 + 16),
    "later fragment of dst": udp6((frag(8, True),), more_fragments=True, fragment_offset=8, proto=60, sport=0, dport=0,
                                  length=40 + 8 + 16, payload=b"\x11\0\1\4\0\0\0\0" + bytes(8)),
    "mobility": Packet(SRC6, DST6, 135, length=56, payload=bytes((59, 1, 5, 0)) + bytes(12), unknown=KNOWN),
    "mobility behind dst": Packet(SRC6, DST6, 135, length=64, payload=bytes((59, 1, 3, 0)) + bytes(12), unknown=KNOWN,
                                  ext_headers=((60, PAD6),)),
    "no next header": Packet(SRC6, DST6, 59, length=48, unknown=KNOWN, ext_headers=((60, PAD6),)),
    "plain": udp6(()),
    "esp": Packet(SRC6, DST6, 50, length=64, payload=(5).to_bytes(4, "big") + bytes(20), unknown=KNOWN),
    "syn behind hbh": Packet(SRC6, DST6, 6, 40001, 80, length=72, tcp_options=bytes.fromhex("020405b4"), unknown=KNOWN,
                             ext_headers=((0, PAD6),)),
    "echo behind dst": Packet(SRC6, DST6, 58, icmp_type=128, icmp_id=7, length=64, payload=bytes(8), unknown=KNOWN,
                              ext_headers=((60, PAD6),)),
    "plain4": udp4(""),
    "alert": udp4("94040000"),
    "alert of another value": udp4("94040001"),
    "nop and end": udp4("01010100"),
    "record route": udp4("070b04" + "00" * 8 + "00"),
    "record route, one done": udp4("070b08" + "c6336405" + "00000000" + "00"),
    "record route, full": udp4("07070867" + "01020300"),
    "time stamps": udp4("440c0500" + "00" * 8),
    "first fragment4": udp4("94040000", more_fragments=True, df=False),
    "later fragment4": udp4("", fragment_offset=24, df=False, sport=0, dport=0),
    "overwriting fragment4": udp4("", fragment_offset=8, more_fragments=True, df=False, sport=0, dport=0, proto=6),
}
SIX = """exthdr hbh exists|exthdr hbh missing|exthdr dst exists|exthdr rt exists|exthdr frag exists|exthdr frag missing|exthdr mh exists|hbh nexthdr udp
hbh nexthdr 60|hbh hdrlength 0|hbh hdrlength 1|dst nexthdr udp|dst hdrlength 0|rt type 0|rt type 4|rt seg-left 0|rt seg-left > 0
rt nexthdr udp|rt hdrlength 2|rt0 addr[1] 2001:db8::7|frag nexthdr udp|frag more-fragments 1|frag more-fragments 0|frag frag-off 2|frag frag-off 0
frag id 5|frag id != 5|frag reserved 1|mh type binding-update|mh type 3|mh hdrlength 1|ip6 nexthdr 0|ip6 nexthdr 44|ip6 nexthdr udp|ip6 nexthdr 51
meta l4proto udp|meta l4proto 51|meta l4proto 59|meta l4proto 44|meta l4proto 60|meta l4proto 135|udp dport 53|udp length 16|th dport 53|ah spi 5|ah sequence 9|ip6 length 24
meta length 64|th sport 24576|udp length 24|@ih,0,16 0x6162|@nh,320,8 17|@th,0,8 60|tcp dport 80|tcp option maxseg exists|icmpv6 type echo-request|esp spi 5|dccp type request
srh last-entry 1|srh tag 7|srh flags 0"""
FOUR = """ip option ra exists|ip option ra missing|ip option ra value 0|ip option ra value 1|ip option rr exists|ip option rr length 11|ip option rr ptr 4|ip option rr ptr 8
ip option rr ptr > 4|ip option rr addr 198.51.100.5|ip option lsrr exists|ip option ssrr missing|ip hdrlength 5|ip hdrlength > 5|ip hdrlength 8|udp dport 53|udp length 16|th sport 40000
ip frag-off & 0x1fff != 0|ip frag-off & 0x2000 != 0|@nh,160,8 0x94|@nh,160,16 0x0101|@th,16,16 53|th sport 24930|@th,0,24 0x616263|meta l4proto udp|meta length 40|@ih,0,16 0x6162|ip length 40"""
XT6 = """-m hbh --hbh-len 8|-m hbh ! --hbh-len 8|-m hbh|-m hbh --hbh-opts 1:4|-m hbh --hbh-opts 1:4,30:6|-m hbh --hbh-opts 5:2,1|-m hbh --hbh-opts 5,1:0|-m hbh --hbh-opts 1:255
-m dst --dst-len 16|-m dst ! --dst-len 8|-m dst --dst-opts 1,30|-m dst --dst-opts 1:4,31|-m rt --rt-type 0|-m rt ! --rt-type 0|-m rt --rt-segsleft 1:3|-m rt ! --rt-segsleft 0
-m rt --rt-len 24|-m rt --rt-type 0 --rt-0-res|-m rt --rt-type 0 --rt-0-addrs 2001:db8::7|-m rt --rt-type 0 --rt-0-addrs 2001:db8::7,2001:db8::8|-m rt --rt-type 0 --rt-0-addrs 2001:db8::8 --rt-0-not-strict
-m rt --rt-type 0 --rt-0-addrs 2001:db8::8,2001:db8::7 --rt-0-not-strict|-m srh|-m srh --srh-next-hdr 17|-m srh ! --srh-next-hdr 17|-m srh --srh-segs-left-eq 1|-m srh --srh-segs-left-gt 1|-m srh --srh-last-entry-lt 2
-m srh --srh-tag 7|-m srh --srh-tag 1792|-m srh --srh-hdr-len-eq 4|-m srh --srh-nsid 2001:db8::a|-m srh --srh-psid 2001:db8::a|-m srh --srh-lsid 2001:db8::/64|-m srh ! --srh-lsid 2001:db8::a
-m ipv6header --header hop-by-hop|-m ipv6header --header hop,prot|-m ipv6header ! --header hop,prot|-m ipv6header --header dst --soft|-m ipv6header ! --header dst --soft|-m ipv6header --header frag --soft|-m ipv6header --header none --soft|-m ipv6header --header esp|-m ipv6header --header auth,prot
-m ipv6header --header prot|-m ipv6header --header dst,none|-m frag|-m frag --fragid 5|-m frag ! --fragid 5:8|-m frag --fragmore|-m frag --fragfirst|-m frag --fraglast|-m frag --fragres|-m ah|-m ah --ahspi 5|-m ah ! --ahspi 1:5
-m ah --ahlen 24|-m ah ! --ahlen 24|-m ah --ahres|-p udp|-p udp -m udp --dport 53|-p mobility-header -m mh --mh-type 3|-p mobility-header -m mh ! --mh-type 3|-p esp -m esp --espspi 5|-m length --length 64
-m u32 --u32 "40&0xFF000000=0x11000000"|-m u32 --u32 "48>>24=17"|-m u32 --u32 "4&0xFFFF=0:24"|-m string --string abcdef --algo bm --from 40|-m string --string abcdef --algo bm --to 50
-p tcp -m tcp --syn|-p icmpv6 -m icmp6 --icmpv6-type 128|-p 59|! -p udp|-p tcp -m tcpmss --mss 1460"""
XT4 = """-p udp -m udp --dport 53|-f|! -f|-m u32 --u32 "0>>22&0x3C@0>>16=40000"|-m u32 --u32 "20>>24=0x94"|-m string --string abcdef --algo bm --from 20 --to 36|-m length --length 40|-p tcp -m tcp --dport 80"""


def words(text: str) -> list[str]:
    return [part for line in text.splitlines() for part in line.split("|")]


@pytest.fixture(scope="module")
def loaded(router: Router) -> Router:
    # no conntrack: it would keep the fragments
    made = router.nft("".join(f"add table {table}\nadd chain {table} c {{ type filter hook {place}; policy accept; }}\n" for table, place in (
        ("ip6 t6", "forward priority 10"), ("ip t4", "forward priority 10"), ("inet both", "prerouting priority -5"))))
    assert not made, made
    refused = []
    for family, table, texts in (("ip6", "t6", SIX), ("ip", "t4", FOUR), ("inet", "both", SIX), ("inet", "both", FOUR)):
        for text in words(texts):
            if problem := router.nft(f"add rule {family} {table} c {text} counter"):
                refused.append((text, problem))
    assert len(refused) < 10, refused
    for tool, texts in (("ip6tables-legacy", XT6), ("ip6tables-nft", XT6), ("iptables-legacy", XT4), ("iptables-nft", XT4)):
        table = "*filter" if "legacy" in tool else "*mangle"  # at another priority: which of two came first would not be known
        lines = [table, *(f"-A FORWARD {text}" for text in words(texts)), "COMMIT"]
        router.run(f"{tool}-restore", stdin="\n".join(lines) + "\n")
    return router


def counted(router: Router) -> dict[tuple[str, str, str, int], tuple[int, str]]:
    """Packets and text of every rule, by what pktdiag calls it."""
    view = router.view()
    found = {}
    for family, number, table, chain in (("ip6", 10, "t6", "c"), ("ip", 2, "t4", "c"), ("inet", 1, "both", "c"), ("ip6", 10, "mangle", "FORWARD"),
                                         ("ip", 2, "mangle", "FORWARD")):
        for rule in ruleset(view).rules(number, table, chain):
            ref = rule.ref(view)
            found["nft", family, table, rule.index] = ref.packets or 0, ref.text
    from pktdiag.netfilter.xt.render import render_rule

    for family, number in (("ip6", 10), ("ip", 2)):
        table_ = load_table(view, number, "filter")
        chain_ = table_.chains()["FORWARD"]
        for index, rule in enumerate(chain_.rules, 1):
            found["xt", family, "filter", index] = rule.packets, "legacy " + render_rule(table_, "FORWARD", rule, view)
    return found


@pytest.mark.parametrize("name", PACKETS)
def test_counters_move_as_predicted(loaded: Router, name: str) -> None:
    packet = PACKETS[name]
    view = loaded.view()
    found = loaded.asked(packet)
    hits = {("xt" if hit.backend.endswith("-legacy") else "nft", hit.family, hit.table, hit.index)
            for hit in found.request.rules_hit if hit.index and hit.netns == view.id}
    unsure = {(hit.family, hit.table, hit.index) for hit in found.request.maybe_hit}
    before = counted(loaded)
    loaded.sent(packet)
    after = counted(loaded)
    moved = {key for key, (packets, _) in after.items() if packets > before[key][0]}
    wrong = [f"{'predicted' if key in hits else 'missed'}: {key} {after[key][1]}" for key in sorted(moved ^ hits) if key[1:] not in unsure]
    assert not wrong, "\n".join(wrong)
    assert moved, "the packet never came by"
    assert len(unsure) < 8, sorted(unsure)

