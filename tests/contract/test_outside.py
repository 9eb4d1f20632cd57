"""Senders that are not on this host, spoofed ones, policy routing, marks, states, options that change the packet, pasted lines."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from .lab import Lab, pktdiag, run

pytestmark = pytest.mark.root
GATE = "02:00:00:00:aa:01"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """src stands for the world: frames are injected there. gate: eth0 towards it, eth1 towards dst (MTU 1300), strict rp_filter."""
    made = Lab("o")
    try:
        made.netns("src", "gate", "dst")
        made.wire("src", "eth0", "gate", "eth0")
        made.wire("gate", "eth1", "dst", "eth0")
        made.sh("gate", f"ip link set eth0 address {GATE}; ip link set eth1 mtu 1300; ip a add 198.51.100.1/24 dev eth0; ip a add 203.0.113.1/24 dev eth1; "
                "ip a add 2001:db8:1::1/64 dev eth0 nodad; ip a add 2001:db8:3::1/64 dev eth1 nodad; "
                "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth1.rp_filter=0 "
                "net.ipv4.conf.all.rp_filter=0; "
                "ip r add default via 198.51.100.254 dev eth0; ip n add 198.51.100.254 lladdr 02:00:00:00:bb:01 dev eth0 nud permanent; "
                "ip -6 r add default via 2001:db8:1::fe dev eth0; ip n add 2001:db8:1::fe lladdr 02:00:00:00:bb:01 dev eth0 nud permanent; "
                "ip n add 198.51.100.77 lladdr 02:00:00:00:bb:02 dev eth0 nud permanent; "
                "ip rule add fwmark 0x7 blackhole pref 100; ip rule add fwmark 0x8/0xf unreachable pref 101; ip rule add uidrange 1000-1010 prohibit pref 102")
        made.sh("dst", "ip link set eth0 mtu 1300; ip a add 203.0.113.2/24 dev eth0; ip r add default via 203.0.113.1; ip a add 2001:db8:3::2/64 dev eth0 nodad; "
                "ip -6 r add default via 2001:db8:3::1")
        made.listen("dst", "udp", "0.0.0.0", 6999)
        made.listen("dst", "udp", "::", 6999)
        made.listen("dst", "tcp", "0.0.0.0", 80)
        made.listen("gate", "udp", "0.0.0.0", 6999)
        run("nsenter", f"--net=/run/netns/{made.name('gate')}", "nft", "-f", "-", stdin="""
table inet f {
  chain pre { type filter hook prerouting priority raw;
    ip dscp ef counter drop
    ether saddr 02:00:00:00:66:06 drop
    ip ttl 3 drop
    icmp type timestamp-request drop
    icmpv6 type echo-reply drop
    meta length 999 drop
  }
  chain forwarding { type filter hook forward priority filter;
    tcp flags & (fin|syn|rst|ack) == fin drop
    ct state invalid drop
    udp dport 7001 ct state new reject
  }
  chain outgoing { type filter hook output priority filter;
    meta skuid 4242 udp dport 6999 drop
    meta mark 0x55 counter reject
  }
}
""")
        yield made
    finally:
        made.close()


def frame(lab: Lab, src: str, dst: str, port: int | None, proto: str, options: tuple[str, ...] = (), *, way: tuple[str, ...] = ("--in", "eth0"),
          sport: int | None = None, **more: Any) -> dict[str, Any]:
    sport = 0 if port is None else sport or 21000 + Lab.number
    four = "." in dst
    words = (((src if four else f"[{src}]") + f":{sport}") if sport else src, ((dst if four else f"[{dst}]") + f":{port}" if port else dst) + f"/{proto}")
    spec = {"how": "frame", "ns": "src", "dev": "eth0", "dmac": GATE, "src": src, "dst": dst, "sport": sport, "dport": port or 0, "proto": proto, **more}
    return lab.judge("gate", (*words, *way, *options), spec)


@pytest.mark.parametrize(("src", "dst", "port", "proto", "verdict"), [
    ("198.51.100.77", "203.0.113.2", 6999, "udp", "delivered"), ("192.0.2.9", "203.0.113.2", 6999, "udp", "delivered"),
    ("192.0.2.9", "203.0.113.2", 80, "tcp", "delivered"), ("192.0.2.9", "203.0.113.2", None, "icmp", "delivered"),
    ("203.0.113.99", "203.0.113.2", 6999, "udp", "dropped"), ("203.0.113.1", "203.0.113.2", 6999, "udp", "dropped"),
    ("127.0.0.1", "203.0.113.2", 6999, "udp", "dropped"), ("0.0.0.0", "203.0.113.2", 6999, "udp", "dropped"), ("224.0.0.5", "203.0.113.2", 6999, "udp", "dropped"),
    ("192.0.2.9", "127.0.0.1", 6999, "udp", "dropped"),
    ("198.51.100.77", "198.51.100.1", 6999, "udp", "delivered"), ("192.0.2.9", "203.0.113.1", 6999, "udp", "delivered"),
    ("192.0.2.9", "198.51.100.1", 7009, "udp", "rejected"), ("192.0.2.9", "198.51.100.1", 22, "tcp", "rejected"),
    ("192.0.2.9", "203.0.113.2", 7001, "udp", "rejected"), ("192.0.2.10", "192.0.2.200", 6999, "udp", "dropped"),
    ("2001:db8:9::9", "2001:db8:3::2", 6999, "udp", "delivered"), ("2001:db8:9::9", "2001:db8:3::2", 7001, "udp", "rejected"),
    ("2001:db8:9::9", "2001:db8:3::2", None, "icmp", "delivered"), ("2001:db8:9::9", "2001:db8:1::1", 7009, "udp", "rejected"),
    ("::1", "2001:db8:3::2", 6999, "udp", "dropped"), ("ff02::1", "2001:db8:3::2", 6999, "udp", "dropped"),
])
def test_from_outside(lab: Lab, src: str, dst: str, port: int | None, proto: str, verdict: str) -> None:
    document = frame(lab, src, dst, port, proto)
    assert document["request"]["verdict"] == verdict, document["summary"]


@pytest.mark.parametrize(("options", "more", "verdict"), [
    (("--ttl", "1"), {"ttl": 1}, "rejected"), (("--ttl", "2"), {"ttl": 2}, "delivered"), (("--ttl", "3"), {"ttl": 3}, "dropped"),
    (("--dscp", "ef"), {"tos": 0xB8}, "dropped"), (("--dscp", "af41"), {"tos": 0x88}, "delivered"),
    (("--src-mac", "02:00:00:00:66:06"), {"smac": "02:00:00:00:66:06"}, "dropped"),
    (("--src-mac", "02-00-00-00-66-07"), {"smac": "02:00:00:00:66:07"}, "delivered"),
    (("--size", "1400"), {"size": 1400}, "rejected"), (("--size", "1400", "--no-df"), {"size": 1400, "df": False}, "delivered"),
    (("--size", "1300", "--df"), {"size": 1300}, "delivered"), (("--size", "999"), {"size": 999}, "dropped"),
])
def test_options_of_a_packet(lab: Lab, options: tuple[str, ...], more: dict[str, Any], verdict: str) -> None:
    if "--no-df" in options:
        document = lab.ask("gate", "192.0.2.9:6000", "203.0.113.2:6999/udp", "--in", "eth0", *options)
    else:
        document = frame(lab, "192.0.2.9", "203.0.113.2", 6999, "udp", options, **more)
    assert document["request"]["verdict"] == verdict, document["summary"]


@pytest.mark.parametrize(("options", "more", "verdict"), [
    (("--tcp-flags", "fin"), {"flags": 1}, "dropped"), (("--tcp-flags", "syn"), {"flags": 2}, "delivered"),
    (("--tcp-flags", "R"), {"flags": 4}, "dropped"), (("--tcp-flags", "syn,ack"), {"flags": 0x12}, "dropped"),
])
def test_flags(lab: Lab, options: tuple[str, ...], more: dict[str, Any], verdict: str) -> None:
    document = frame(lab, "192.0.2.9", "203.0.113.2", 80, "tcp", options, **more)
    assert document["request"]["verdict"] == verdict, document["summary"]


@pytest.mark.parametrize(("src", "dst", "kind", "icmp", "verdict"), [
    ("192.0.2.9", "203.0.113.2", "timestamp-request", [13, 0], "dropped"), ("192.0.2.9", "203.0.113.2", "8", [8, 0], "delivered"),
    ("2001:db8:9::9", "2001:db8:3::2", "echo-reply", [129, 0], "dropped"), ("2001:db8:9::9", "2001:db8:3::2", "128/0", [128, 0], "delivered"),
])
def test_icmp_types(lab: Lab, src: str, dst: str, kind: str, icmp: list[int], verdict: str) -> None:
    document = frame(lab, src, dst, None, "icmp", ("--icmp-type", kind), icmp=icmp)
    assert document["request"]["verdict"] == verdict, document["summary"]


def test_the_way_in_is_guessed_from_the_way_back(lab: Lab) -> None:
    assert frame(lab, "198.51.100.78", "203.0.113.2", 6999, "udp", way=())["request"]["verdict"] == "delivered"
    words = ("198.51.100.78", "203.0.113.2:6999/udp", "--ns", lab.name("gate"), "--in", "eth0")
    elsewhere = lab.ask("dst", *words)
    assert elsewhere["request"]["sightings"][0]["netns"] == lab.places["gate"].id
    assert lab.ask("dst", *words[:3], f"ns:{lab.name('gate')}")["request"]["sightings"][0]["device"] == "eth0"


@pytest.mark.parametrize(("mark", "verdict"), [("0x7", "dropped"), ("8", "dropped"), ("0x18", "dropped"), ("0x55", "rejected"), ("9", "delivered")])
def test_marks_choose_the_route(lab: Lab, mark: str, verdict: str) -> None:
    sport = 22000 + Lab.number
    document = lab.judge("gate", (f"host:{sport}", "203.0.113.2:6999/udp", "--mark", mark),
                         {"ns": "gate", "proto": "udp", "dst": "203.0.113.2", "sport": sport, "dport": 6999, "mark": int(mark, 0)})
    assert document["verdict"] == verdict, document["summary"]


@pytest.mark.parametrize(("uid", "reason"), [("1005", "IP_OUTNOROUTES"), ("4242", "NETFILTER_DROP"), ("0", None)])
def test_the_owner_matters(lab: Lab, uid: str, reason: str | None) -> None:
    document = lab.ask("gate", "203.0.113.2:6999/udp", "--uid", uid)
    sent = subprocess.run(["nsenter", f"--net=/run/netns/{lab.name('gate')}", "setpriv", "--reuid", uid, "--clear-groups", "/usr/bin/python3", "-c",
                           "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('203.0.113.2', 6999))"],
                          capture_output=True, text=True, check=False)
    assert (sent.returncode == 0) == (reason is None), sent.stderr
    drop = document["request"]["drop"]
    assert (drop["reason"] if drop else None) == reason


@pytest.mark.parametrize(("state", "verdict"), [("new", "rejected"), ("established", "rejected"), ("invalid", "dropped"), ("untracked", "rejected")])
def test_states(lab: Lab, state: str, verdict: str) -> None:
    """Only a new one meets the REJECT; the others reach dst, where nobody listens, unless they are invalid."""
    document = lab.ask("gate", "192.0.2.9:6001", "203.0.113.2:7001/udp", "--in", "eth0", "--state", state)
    assert document["request"]["verdict"] == verdict
    assert document["request"]["drop"]["netns"] == lab.places["gate" if state in ("new", "invalid") else "dst"].id


LINES = {
    "log": "[12345.678901] fw: IN=eth0 OUT=eth1 MAC=02:00:00:00:aa:01:02:00:00:00:bb:01:08:00 SRC=192.0.2.9 DST=203.0.113.2 LEN=60 TOS=0x00 PREC=0x00 "
           "TTL=63 ID=4711 DF PROTO=UDP SPT=6100 DPT=6999 LEN=40 ",
    "log --log-macdecode": "fw: IN=eth0 OUT=eth1 MACSRC=02:00:00:00:bb:01 MACDST=02:00:00:00:aa:01 MACPROTO=0800 SRC=192.0.2.9 DST=203.0.113.2 LEN=60 "
                           "TOS=0x00 PREC=0x00 TTL=63 ID=4711 DF PROTO=UDP SPT=6100 DPT=6999 LEN=40",
    "ebtables --log-ip": "[12345.678901] fw IN=eth0 OUT= MAC source = 02:00:00:00:bb:01 MAC dest = 02:00:00:00:aa:01 proto = 0x0800 IP SRC=192.0.2.9 "
                         "IP DST=203.0.113.2, IP tos=0x00, IP proto=17 SPT=6100 DPT=6999",
    "tcpdump": "12:03:04.123456 eth0  In  IP 192.0.2.9.6100 > 203.0.113.2.6999: UDP, length 32",
    "tcpdump -v": "12:03:04.123456 eth0 In  IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto UDP (17), length 60) 192.0.2.9.6100 > 203.0.113.2.6999: [udp sum ok] UDP, length 32",
    "tcpdump -e": "12:03:04.123456 02:00:00:00:bb:01 > 02:00:00:00:aa:01, ethertype IPv4 (0x0800), length 74: 192.0.2.9.6100 > 203.0.113.2.6999: UDP, length 32",
    "tcpdump -v, two lines": "12:03:04.123456 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto UDP (17), length 60)\n    192.0.2.9.6100 > 203.0.113.2.6999: UDP, length 32",
    "conntrack -L": "udp      17 29 src=192.0.2.9 dst=203.0.113.2 sport=6100 dport=6999 [UNREPLIED] src=203.0.113.2 dst=192.0.2.9 sport=6999 dport=6100 mark=0 use=1",
    "conntrack -E": "    [NEW] udp      17 30 src=192.0.2.9 dst=203.0.113.2 sport=6100 dport=6999 [UNREPLIED] src=203.0.113.2 dst=192.0.2.9 sport=6999 dport=6100",
    "/proc/net/nf_conntrack": "ipv4     2 udp      17 29 src=192.0.2.9 dst=203.0.113.2 sport=6100 dport=6999 [UNREPLIED] src=203.0.113.2 dst=192.0.2.9 sport=6999 dport=6100 mark=0 zone=0 use=2",
    "journalctl": "Nov 21 12:00:00 gate kernel: fw: IN=eth0 OUT= MAC=02:00:00:00:aa:01:02:00:00:00:bb:01:08:00 SRC=192.0.2.9 DST=203.0.113.2 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=0 DF PROTO=UDP SPT=6100 DPT=6999 LEN=40",
}


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("way", ["argument", "stdin"])
def test_pasted_lines(lab: Lab, kind: str, way: str) -> None:
    line = LINES[kind]
    words = ("trace", "--json", "--from-log", line if way == "argument" else "-", *(() if "IN=" in line or " In" in line else ("--in", "eth0")))
    done = pktdiag(*words, netns=lab.name("gate"), stdin=line + "\n" if way == "stdin" else None)
    assert done.returncode == 1 and not done.stderr, done.stdout[-200:] + done.stderr  # src does not take the answer
    document = json.loads(done.stdout)
    assert document["request"]["verdict"] == "delivered"
    packet = document["question"]["packet"]
    assert (packet["src"], packet["sport"], packet["dst"], packet["dport"], packet["proto"]) == ("192.0.2.9", 6100, "203.0.113.2", 6999, "udp")
    assert document["request"]["sightings"][0]["device"] == "eth0"


def test_a_real_log_line(lab: Lab) -> None:
    """Of a packet that really passed here; where the kernel log of namespaces cannot be read, tcpdump's line stands in."""
    shown = subprocess.Popen(["nsenter", f"--net=/run/netns/{lab.name('gate')}", "tcpdump", "-n", "-l", "-c", "1", "-i", "any", "udp", "port", "6999"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert shown.stderr is not None and shown.stdout is not None
    while "listening on" not in shown.stderr.readline():
        assert shown.poll() is None
    document = frame(lab, "192.0.2.9", "203.0.113.2", 6999, "udp")
    line = shown.stdout.readline()
    shown.communicate()
    done = pktdiag("trace", "--from-log", "-", "--json", netns=lab.name("gate"), stdin=line)
    assert not done.stderr, line + done.stderr
    assert json.loads(done.stdout)["request"]["sightings"] == document["request"]["sightings"]
