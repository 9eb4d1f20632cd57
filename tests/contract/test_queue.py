"""NFQUEUE: whether a program listens can be read, and without one nobody decides: the kernel drops, or lets pass with bypass."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .lab import Lab

pytestmark = pytest.mark.root
PORTS = iter(range(42000, 43000))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    lab = Lab("nfq")
    try:
        lab.netns("cli", "srv")
        lab.wire("cli", "eth0", "srv", "eth0")
        for place, last in (("cli", 1), ("srv", 2)):
            lab.sh(place, f"ip addr add 192.0.2.{last}/24 dev eth0; ip addr add 2001:db8::{last}/64 dev eth0 nodad")
        for address in ("192.0.2.2", "2001:db8::2"):
            lab.listen("srv", "udp", address, 8000)
        yield lab
    finally:
        lab.close()


@contextmanager
def rule(lab: Lab, place: str, chain: str, options: str) -> Iterator[None]:
    words = f"{chain} -p udp --dport 8000 -j NFQUEUE {options}"
    for tool in ("iptables-legacy", "ip6tables-legacy"):
        lab.sh(place, f"{tool} -w -A {words}")
    try:
        yield
    finally:
        for tool in ("iptables-legacy", "ip6tables-legacy"):
            lab.sh(place, f"{tool} -w -D {words}")


@contextmanager
def program(lab: Lab, place: str, number: int) -> Iterator[None]:
    """Bound to a queue and never answering (NFQNL_MSG_CONFIG with NFQNL_CFG_CMD_BIND)."""
    with lab.places[place].inside():
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    with sock:
        sock.bind((0, 0))
        attr = struct.pack("=HH", 8, 1) + struct.pack(">BBH", 1, 0, 0)
        message = struct.pack("=BBH", 0, 0, socket.htons(number)) + attr
        sock.send(struct.pack("=IHHII", 16 + len(message), 3 << 8 | 2, 5, 1, 0) + message)
        assert struct.unpack_from("=i", sock.recv(4096), 16)[0] == 0
        yield


@pytest.mark.parametrize("to", ["192.0.2.2", "2001:db8::2"])
@pytest.mark.parametrize(("place", "chain"), [("srv", "INPUT"), ("cli", "OUTPUT")])
@pytest.mark.parametrize(("options", "verdict"), [
    ("--queue-num 7", "dropped"),
    ("--queue-balance 3:6", "dropped"),
    ("--queue-num 7 --queue-bypass", "delivered"),
])
def test_nobody_listens(lab: Lab, to: str, place: str, chain: str, options: str, verdict: str) -> None:
    sport = next(PORTS)
    target = f"[{to}]:8000/udp" if ":" in to else f"{to}:8000/udp"
    with rule(lab, place, chain, options):
        document = lab.judge("cli", (f"ns:{lab.name('cli')}:{sport}", target),
                             {"ns": "cli", "proto": "udp", "dst": to, "sport": sport, "dport": 8000}, longest=0.4)
    request = document["request"]
    assert request["verdict"] == verdict, document["summary"]
    if verdict == "dropped":
        assert "no program listens" in request["drop"]["text"] and "NFQUEUE" in request["drop"]["rule"]["text"]
        assert "no program listens on queue" in document["summary"]


def test_a_program_decides(lab: Lab) -> None:
    with program(lab, "srv", 7), rule(lab, "srv", "INPUT", "--queue-num 7"):
        document = lab.ask("srv", "192.0.2.1", "192.0.2.2:8000/udp", command="trace")
    assert document["request"]["verdict"] == "depends", document["summary"]
    assert "accepts it" in document["request"]["outcomes"][0]["condition"]
    with rule(lab, "srv", "INPUT", "--queue-num 7"):
        assert lab.ask("srv", "192.0.2.1", "192.0.2.2:8000/udp", command="trace")["request"]["verdict"] == "dropped"
