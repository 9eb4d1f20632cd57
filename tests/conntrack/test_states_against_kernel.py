"""Which state a packet is in: random TCP conversations, ICMP, and what only the kernel's table knows."""

from __future__ import annotations

import random
import socket
import struct

import pytest

from pktdiag.model.packet import Packet, parse_address

from .conftest import CLIENT, SERVER, Crossing, FakeServices, Lab, inside, packet

STATES = ("INVALID", "NEW", "ESTABLISHED", "RELATED", "UNTRACKED")
NAMES = {7: "INVALID", 2: "NEW", 0: "ESTABLISHED", 3: "ESTABLISHED", 1: "RELATED", 4: "RELATED", 8: "UNTRACKED"}
SYN, ACK, FIN, RST, PSH, URG = 2, 16, 1, 4, 8, 32
FLAGS = (SYN, SYN | ACK, ACK, FIN | ACK, RST, RST | ACK, ACK | PSH, FIN, 0, SYN | FIN, ACK | URG)


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(src: str, sport: int, dst: str, dport: int, flags: int, seq: int, ack: int) -> bytes:
    header = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 8192, 0, 0)
    pseudo = parse_address(src) + parse_address(dst) + struct.pack("!BBH", 0, 6, len(header))
    return header[:16] + struct.pack("!H", checksum(pseudo + header)) + header[18:]


@pytest.fixture
def watched(lab: Lab) -> Lab:
    """One counting rule per state in FORWARD; neither end's kernel answers."""
    for state in STATES:
        lab.run("router", "iptables-legacy", "-A", "FORWARD", "-m", "conntrack", "--ctstate", state, "-j", "ACCEPT")
    for role in ("client", "server"):
        lab.run(role, "nft", "-f", "-", stdin="flush ruleset\ntable ip quiet { chain in { type filter hook prerouting "
                                              "priority -400; iifname eth0 drop; }; }")
    return lab


def counted(lab: Lab) -> dict[str, int]:
    lines = lab.run("router", "iptables-legacy", "-nvxL", "FORWARD").splitlines()[2:]
    return dict(zip(STATES, (int(line.split()[0]) for line in lines)))


def settled(lab: Lab, before: dict[str, int]) -> dict[str, int]:
    """The counters once one more packet was seen."""
    for _ in range(200):
        now = counted(lab)
        if sum(now.values()) > sum(before.values()):
            return now
    raise AssertionError("the packet was not seen in FORWARD")


@pytest.mark.parametrize("loose", [1, 0])
@pytest.mark.parametrize("memory", ["the walk's own", "read from the kernel"])
@pytest.mark.parametrize("seed", range(6))
def test_random_tcp_conversations(watched: Lab, seed: int, memory: str, loose: int) -> None:
    """Window checks are off (be_liberal): a walk has no sequence numbers. With ``memory`` read from the kernel, what
    ctnetlink does not tell (which side reset a closed connection) is left out of the conversation."""
    watched.run("router", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1",
                f"net.netfilter.nf_conntrack_tcp_loose={loose}")
    draw = random.Random(seed)
    port = 20000 + seed
    services = FakeServices(watched.host)
    with inside(watched.names["client"]):
        here = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    with inside(watched.names["server"]):
        there = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    story = []
    with here, there:
        for _ in range(14):
            flags, back = draw.choice(FLAGS), draw.random() < 0.4
            if memory != "the walk's own":
                if flags & RST:
                    continue
                services = FakeServices(watched.host)
            ends = (SERVER, 80, CLIENT, port) if back else (CLIENT, port, SERVER, 80)
            skb, result = Crossing(watched, services).forward(packet(*ends, proto=6, tcp_flags=flags, length=40), back=back)
            assert result.action == "accept"
            before = counted(watched)
            (there if back else here).sendto(segment(*ends, flags, 1001 if flags & RST else 1000, 1001), (ends[2], 0))
            after = settled(watched, before)
            seen = next(state for state in STATES if after[state] != before[state])
            story.append((flags, back, seen))
            assert NAMES[skb.ct_state if skb.ct_state is not None else 7] == seen, story


def test_icmp_errors_are_related_and_untranslated_inside(watched: Lab) -> None:
    watched.run("router", "iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "down0", "-j", "MASQUERADE")
    crossing = Crossing(watched)
    asked, _ = crossing.forward(packet(CLIENT, 41000, SERVER, 53))
    out = asked.packet
    error = Packet(src=out.dst, dst=out.src, proto=1, icmp_type=3, icmp_code=3, inner=out, length=56)
    skb, result = crossing.forward(error, back=True)
    assert result.action == "accept" and skb.ct_state == 4
    assert skb.packet.dst == parse_address(CLIENT)
    assert skb.packet.inner is not None
    assert (skb.packet.inner.src, skb.packet.inner.sport) == (parse_address(CLIENT), 41000)


def test_icmp_error_about_nothing_is_invalid(watched: Lab) -> None:
    quoted = packet(CLIENT, 45555, SERVER, 53)
    error = Packet(src=parse_address(SERVER), dst=parse_address(CLIENT), proto=1, icmp_type=3, icmp_code=3, inner=quoted)
    skb, _ = Crossing(watched).forward(error, back=True)
    assert NAMES[skb.ct_state or 0] == "INVALID"
    before = counted(watched)
    with inside(watched.names["server"]):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    inner_udp = struct.pack("!HHHH", 45555, 53, 8, 0)
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, parse_address(CLIENT), parse_address(SERVER)) + inner_udp
    body = struct.pack("!BBHI", 3, 3, 0, 0) + inner
    with raw:
        raw.sendto(body[:2] + struct.pack("!H", checksum(body)) + body[4:], (CLIENT, 0))
    assert settled(watched, before)["INVALID"] == before["INVALID"] + 1


def test_a_full_table_depends_on_an_eviction(lab: Lab) -> None:
    lab.run("router", "iptables-legacy", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
    crossing = Crossing(lab)
    crossing.services.answer = False

    class Full:
        def __getattr__(self, name: str) -> object:
            return (lambda: (10, 10)) if name == "conntrack_count" else getattr(crossing_view, name)

    crossing_view, crossing.view = crossing.view, Full()
    _, result = crossing.forward(packet(CLIENT, 42000, SERVER, 53))
    assert (result.action, result.cause) == ("drop", "conntrack-table-full")
    assert len(crossing.services.asked) == 1


def test_zones_keep_connections_apart(lab: Lab) -> None:
    """The same addresses in a zone of its own are another connection; a zone for one direction leaves answers outside."""
    lab.run("router", "nft", "-f", "-", stdin="""
        table ip z { chain pre { type filter hook prerouting priority raw;
            udp dport 1111 ct zone set 5; udp dport 2222 ct original zone set 7; };
          chain through { type filter hook forward priority 0; ct state new counter; }; }""")
    crossing = Crossing(lab)
    for dport, zone in ((1111, 5), (2222, 7), (3333, 0)):
        skb, _ = crossing.forward(packet(CLIENT, 44000, SERVER, dport))
        there = skb.packet
        assert skb.ct is not None and skb.ct.zone == zone
        back, _ = crossing.forward(there._replace(src=there.dst, dst=there.src, sport=dport, dport=44000), back=True)
        assert NAMES[back.ct_state or 0] == ("NEW" if zone == 5 else "ESTABLISHED")
        for role, src, sport, dst, port in (("client", CLIENT, 44000, SERVER, dport), ("server", SERVER, dport, CLIENT, 44000)):
            with lab.bound(role, socket.SOCK_DGRAM, src, sport) as sock:
                sock.sendto(b"x", (dst, port))
    lines = lab.conntrack()
    assert len([line for line in lines if "dport=1111" in line]) == 2
    assert len([line for line in lines if "dport=2222" in line]) == 1
    # and read from the kernel, not from the walk's memory
    for dport, state in ((1111, "NEW"), (2222, "ESTABLISHED"), (3333, "ESTABLISHED")):
        skb, _ = Crossing(lab).forward(packet(CLIENT, 44000, SERVER, dport))
        assert NAMES[skb.ct_state or 0] == state, dport
