"""Story 4: who sees INPUT, FORWARD, OUTPUT. The predicted log lines equal the kernel's, field by field."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.kmsg import Tail, compare, logging_everywhere

from .engine import ROOT, run

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces")]

ROUTER, LEFT, RIGHT = "pdl-router", "pdl-left", "pdl-right"
SENDER = """
import socket, sys
kind, family, address, port, sport, size = sys.argv[1], *map(str, sys.argv[2:])
v6 = family == "6"
inet = socket.AF_INET6 if v6 else socket.AF_INET
if kind == "udp":
    s = socket.socket(inet, socket.SOCK_DGRAM); s.bind(("", int(sport))); s.sendto(b"x" * int(size), (address, int(port)))
else:
    s = socket.socket(inet, socket.SOCK_STREAM); s.bind(("", int(sport))); s.settimeout(0.2)
    try: s.connect((address, int(port)))
    except OSError: pass
"""


def ns(name: str, *words: str) -> str:
    return run("ip", "netns", "exec", name, *words)


@pytest.fixture(scope="module")
def everywhere() -> Iterator[None]:
    with logging_everywhere():
        yield


@pytest.fixture(scope="module")
def lab(everywhere: None) -> Iterator[None]:
    try:
        for name in (ROUTER, LEFT, RIGHT):
            run("ip", "netns", "add", name)
            ns(name, "ip", "link", "set", "lo", "up")
            ns(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        for name, device, net in ((LEFT, "l0", 1), (RIGHT, "r0", 2)):
            run("ip", "link", "add", device, "netns", ROUTER, "type", "veth", "peer", "name", "e0", "netns", name)
            ns(ROUTER, "ip", "link", "set", device, "up")
            ns(name, "ip", "link", "set", "e0", "up")
            ns(ROUTER, "ip", "addr", "add", f"198.51.{100 + net}.1/24", "dev", device)
            ns(name, "ip", "addr", "add", f"198.51.{100 + net}.2/24", "dev", "e0")
            ns(ROUTER, "ip", "addr", "add", f"2001:db8:{net}::1/64", "dev", device, "nodad")
            ns(name, "ip", "addr", "add", f"2001:db8:{net}::2/64", "dev", "e0", "nodad")
            ns(name, "ip", "route", "add", "default", "via", f"198.51.{100 + net}.1")
            ns(name, "ip", "route", "add", "default", "via", f"2001:db8:{net}::1")
        ns(ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        for tool in ("iptables-nft", "ip6tables-legacy"):
            for chain in ("INPUT", "FORWARD", "OUTPUT"):
                options = ["--log-level", "debug", "--log-tcp-sequence", "--log-ip-options"] if chain == "FORWARD" else ["--log-uid"]
                ns(ROUTER, tool, "-A", chain, "-j", "LOG", "--log-prefix", f"pdl {chain.lower()} ", *options)
        ns(ROUTER, "nft", "add table inet pdl")
        ns(ROUTER, "nft", "add chain inet pdl pre { type filter hook prerouting priority -150; }")
        ns(ROUTER, "nft", "add rule inet pdl pre meta mark set 0x2a log prefix \"pdl pre \" flags ether")
        yield
    finally:
        for name in (ROUTER, LEFT, RIGHT):
            run("ip", "netns", "delete", name, check=False)


CASES = [
    (LEFT, "4", "udp", "198.51.102.2", 7000), (LEFT, "4", "udp", "198.51.101.1", 7001), (ROUTER, "4", "udp", "198.51.102.2", 7002),
    (LEFT, "4", "tcp", "198.51.102.2", 7003), (ROUTER, "4", "udp", "127.0.0.1", 7004), (LEFT, "6", "udp", "2001:db8:2::2", 7005),
    (LEFT, "6", "tcp", "2001:db8:1::1", 7006), (ROUTER, "6", "udp", "2001:db8:1::2", 7007),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}-{case[3]}")
def test_the_kernel_writes_what_was_predicted(lab: None, case: tuple[str, str, str, str, int]) -> None:
    where, family, proto, address, port = case
    sport = port + 10000
    payload = 32
    size = {"udp": (28 if family == "4" else 48) + payload, "tcp": 60 if family == "4" else 80}[proto]
    target = f"[{address}]:{port}/{proto}" if family == "6" else f"{address}:{port}/{proto}"
    done = subprocess.run([sys.executable, "-m", "pktdiag", "trace", f"ns:{where}:{sport}", target, "--size", str(size), "--json"],
                          capture_output=True, text=True, cwd=ROOT, timeout=60)
    answer = json.loads(done.stdout)
    predicted = [step["detail"]["log"]["line"] for step in answer["request"]["steps"] if "log" in (step.get("detail") or {})]
    assert predicted, answer["summary"]
    with Tail("pdl ") as log:
        ns(where, sys.executable, "-c", SENDER, proto, family, address, str(port), str(sport), str(payload))
        seen = log.wait(len(predicted), lambda line: f"SPT={sport} " in line and "[" not in line and (proto == "udp" or "SYN" in line))
    compare(seen[:len(predicted)], predicted)
