"""Options, extension headers and fragments on a fixed host: who drops them, for what reason, who answers, and who gets them."""

from __future__ import annotations

from typing import Any

import pytest

from . import headers, judge
from .headers import ALERT, DST, HOP, LABELS, PAD, ROUTING, TWO, WRONG4, routing

pytestmark = [pytest.mark.root, pytest.mark.slow]

HERE4, THERE4, HERE6, THERE6 = "10.1.0.1", "10.2.0.2", "2001:db8:1::1", "2001:db8:2::2"
MAC = "02:00:00:00:10:01"
WIRES = (("a", "a0", 2, "r", "r0", 1, 1), ("b", "b0", 2, "r", "r1", 1, 2))
CHAINS: dict[str, list[list[Any]]] = {
    "hop-by-hop": [[HOP, PAD]], "two options": [[HOP, TWO]], "router alert": [[HOP, ALERT]], "alert of a wrong length": [[HOP, "0000050300000000"]],
    "alert behind padding": [[HOP, "0001010000000502" + "0000" + "010400000000"]], "jumbo": [[HOP, "0000c20400000001"]],
    "jumbo indeed": [[HOP, "0000c20400020000"]], "jumbo out of place": [[HOP, "000000c204000200"]],
    **{f"hop-by-hop, {name}": [[HOP, text]] for name, text in LABELS.items()},
    "destination": [[DST, PAD]], "destination, two options": [[DST, TWO]], "an alert for a destination": [[DST, ALERT]],
    **{f"destination, {name}": [[DST, text]] for name, text in LABELS.items()},
    "hop-by-hop behind": [[DST, PAD], [HOP, PAD]], "nine options": [[HOP, "0003" + "1e01ff" * 9 + "010100"]], "eight": [[HOP, "0003" + "1e01ff" * 8 + "010400000000"]],
    "source route": [[ROUTING, routing(0, 0, [THERE6])]], "source route with segments left": [[ROUTING, routing(0, 1, [THERE6])]],
    "type 2": [[ROUTING, routing(2, 0, [THERE6])]], "type 2 with one left": [[ROUTING, routing(2, 1, [THERE6])]],
    "rpl": [[ROUTING, routing(3, 0, [THERE6])]], "type 9": [[ROUTING, routing(9, 0, [THERE6])]], "type 9 with one left": [[ROUTING, routing(9, 1, [THERE6])]],
    "segments": [[ROUTING, routing(4, 0, [THERE6])]], "segments, one left": [[ROUTING, routing(4, 1, [THERE6, HERE6])]],
    "segments, one left for itself": [[ROUTING, routing(4, 1, [HERE6, HERE6])]], "segments, too many left": [[ROUTING, routing(4, 3, [HERE6])]],
    "segments, nowhere": [[ROUTING, routing(4, 1, ["2001:db8:ffff::1", HERE6])]],
    "authentication": [[51, "0004000000000005000000090000000000000000" + "00000000"]], "many": [[HOP, PAD], [DST, PAD], [ROUTING, routing(0, 0, [THERE6])], [DST, TWO]],
}
OPTIONS = {"alert": "94040000", "alert of another value": "94040001", "nothing": "01010100", "unknown": "5e040000", "route": "070b04" + "00" * 9,
           "route, one done": "070b08c6336405" + "00" * 5, "route, full": "0707080701020300", "time": "440c0500" + "00" * 8,
           "time and address": "440c0501" + "00" * 8, "time, full": "440c0d01" + "00" * 8, "time asked of others": "440c0503c6336405" + "00" * 4,
           "loose": "830704c633640500", "strict": "890704c633640500", "odd room": "070904" + "00" * 9, "behind the end": "00ff0000",
           "both": "070704" + "00" * 5 + "44080500" + "00" * 4, **{f"wrong {at}": text for at, text in enumerate(WRONG4)}}


def host(settings: list[dict[str, Any]], packets: list[dict[str, Any]], rules: str = "") -> dict[str, Any]:
    items: list[dict[str, Any]] = [{"do": "netns", "ns": name} for name in "arb"]
    for left, near, one, right, far, two, net in WIRES:
        items.append({"do": "ip", "ns": left, "line": f"link add {near} address 02:00:00:00:1{net}:02 type veth peer name {far} address "
                                                      f"02:00:00:00:1{net}:01 netns NETNS({right})"})
        for ns, dev, number in ((left, near, one), (right, far, two)):
            items += [{"do": "ip", "ns": ns, "line": f"addr add 10.{net}.0.{number}/24 dev {dev}"},
                      {"do": "ip", "ns": ns, "line": f"addr add 2001:db8:{net}::{number}/64 dev {dev} nodad"},
                      {"do": "ip", "ns": ns, "line": f"link set {dev} up"}]
        items += [{"do": "ip", "ns": left, "line": f"route add default via 10.{net}.0.1"},
                  {"do": "ip", "ns": left, "line": f"route add default via 2001:db8:{net}::1"}]
    items += [{"do": "ip", "ns": ns, "line": "link set lo up"} for ns in "arb"]
    items += [{"do": "sysctl", "ns": "r", "path": key, "value": "1"} for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")]
    items += [{"do": "listen", "ns": ns, "proto": proto, "addr": addr, "port": 53} for ns in "rb" for proto in ("udp", "tcp")
              for addr in ("0.0.0.0", "::")]
    items += [{"do": "nft", "ns": "r", "line": line} for line in rules.splitlines() if line]
    return {"seed": "headers", "items": items + settings, "packets": packets}


def packet(dst: str, proto: str, number: int, **fields: Any) -> dict[str, Any]:
    six = ":" in dst
    spec = {"how": "frame", "ns": "a", "dev": "a0", "proto": proto, "src": "2001:db8:1::2" if six else "10.1.0.2", "dst": dst, "sport": 20000 + number,
            "dport": 53, "dmac": "02:00:00:00:11:01", "smac": "02:00:00:00:11:02", "known": True, "flags": 2}
    return {**spec, **fields}


def every_packet() -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for dst in (HERE6, THERE6):
        for name, chain in CHAINS.items():
            found.append((f"{name} to {dst}", {"dst": dst, "ext": chain, "proto": ("udp", "tcp", "icmp")[len(found) % 3]}))
        for offset, more in ((0, 1), (64, 1), (64, 0), (0, 0)):
            found.append((f"fragment {offset} {more} to {dst}", {"dst": dst, "frag": [offset, more, 0], "proto": "udp"}))
        for proto in ("udp", "tcp", "icmp"):
            found.append((f"uneven fragment to {dst}", {"dst": dst, "frag": [0, 1, 0], "odd": 4, "proto": proto}))
        found += [(f"atomic behind options to {dst}", {"dst": dst, "ext": [[HOP, PAD]], "frag": [0, 0, 7], "behind": [[DST, PAD]], "proto": "icmp"}),
                  (f"nothing to {dst}", {"dst": dst, "ext": [[DST, PAD]], "proto": 59}), (f"nothing at all to {dst}", {"dst": dst, "proto": 59}),
                  (f"closed port to {dst}", {"dst": dst, "ext": [[HOP, PAD], [DST, PAD]], "proto": "udp", "dport": 54}),
                  (f"unknown protocol to {dst}", {"dst": dst, "ext": [[DST, PAD]], "proto": 253})]
    for dst in (HERE4, THERE4):
        for name, text in OPTIONS.items():
            for proto in ("udp", "tcp", "icmp") if dst == HERE4 else ("udp", "icmp"):
                found.append((f"{name} to {dst}", {"dst": dst, "ipopts": text, "proto": proto}))
        for offset, more in ((0, 1), (64, 1), (64, 0)):
            found.append((f"fragment {offset} {more} to {dst}", {"dst": dst, "frag": [offset, more, 0], "df": False, "proto": "udp"}))
        found += [(f"route to a closed port of {dst}", {"dst": dst, "ipopts": OPTIONS["route"], "proto": proto, "dport": 54}) for proto in ("udp", "tcp")]
    found.append(("route, ttl used up", {"dst": THERE4, "ipopts": OPTIONS["route"], "proto": "udp", "ttl": 1}))
    return found


RULES = """add table inet t
add chain inet t p { type filter hook prerouting priority -450; }
add chain inet t i { type filter hook input priority 0; }
add chain inet t f { type filter hook forward priority 0; }
add chain inet t o { type filter hook output priority 0; }
""" + "".join(f"add rule inet t {chain} {match} counter\n" for chain in "pifo" for match in (
    "exthdr hbh exists", "exthdr dst exists", "exthdr rt exists", "exthdr frag exists", "ip option ra exists", "ip option rr exists", "ip option rr ptr 8",
    "ip option rr ptr 12", "ip hdrlength > 5", "meta length > 60", "udp dport 53", "ip option rr missing", "ip6 nexthdr 0", "meta l4proto 51"))
TRACKED = RULES + "add rule inet t i ct state new counter\nadd rule inet t f ct state invalid counter\nadd rule inet t i ct state invalid counter\n"
REFUSING = RULES + "add rule inet t i udp dport 53 counter reject\nadd rule inet t i tcp dport 53 counter reject with tcp reset\n"
SEGMENTS = [{"do": "sysctl", "ns": "r", "path": f"net/ipv6/conf/{dev}/seg6_enabled", "value": "1"} for dev in ("all", "r0")]
STRICT = [{"do": "sysctl", "ns": "r", "path": key, "value": str(value)} for key, value in (
    ("net/ipv6/max_hbh_opts_number", -8), ("net/ipv6/max_dst_opts_number", 1), ("net/ipv6/max_dst_length", 16))]


@pytest.mark.parametrize(("rules", "settings"), [(RULES, []), (TRACKED, []), (REFUSING, []), ("", SEGMENTS), ("", STRICT)],
                         ids=["plain", "tracked", "refusing", "segments", "strict"])
def test_the_kernel_agrees(rules: str, settings: list[dict[str, Any]]) -> None:
    cases = every_packet() if rules == RULES else every_packet()[::4]
    described = host(settings, [packet(number=number, **fields) for number, (_, fields) in enumerate(cases)], rules)

    def work(bench: judge.Bench) -> list[Any]:
        results, fleeting = bench.judged(described)
        missing = [cases[at][0] for at in sorted({*range(len(cases))} - {r.packet for r in results})]
        return [[missing, len(results), len(fleeting)], *([cases[r.packet][0], r.verdict, *r.mismatches[0], list(r.conditions)] for r in results if r.mismatches)]

    (missing, judged, fleeting), *wrong = judge.with_bench(work)
    assert not wrong, "\n".join(f"{name}: {verdict} {kind}: {text[:400]}" for name, verdict, kind, text, _ in wrong)
    assert judged >= len(cases) - 1, missing
    assert fleeting <= len(cases) // 20
    assert headers.skip(bytes(40) + bytes((17, 0)) + bytes(6), DST)[0] == 17
