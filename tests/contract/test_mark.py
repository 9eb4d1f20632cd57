"""The mark a packet ends up with, as its receiver reads it (SO_RCVMARK, Linux 5.19)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from .lab import Lab, Listening

pytestmark = pytest.mark.root
SO_RCVMARK = 75
PREROUTING = "nft add table inet m; nft 'add chain inet m c {{ type filter hook prerouting priority -100; }}'; nft add rule inet m c {}"


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab("mark")
    try:
        made.pair()
        yield made
    finally:
        made.close()


def seen_by(listener: Listening) -> int:
    """The mark of the datagram that waits there."""
    data, control, _, _ = listener.sock.recvmsg(2048, 64)
    assert data
    return next((int(struct.unpack("=I", value)[0]) for level, kind, value in control if (level, kind) == (socket.SOL_SOCKET, socket.SO_MARK)), 0)


@pytest.mark.parametrize(("rule", "where", "asked", "mark"), (
    ("meta mark set 0x2a", "dst", 0, 0x2a), ("counter", "dst", 7, 0), ("counter", "src", 7, 7), ("meta mark set meta mark or 0x100", "src", 7, 0x107)))
def test_what_the_receiver_reads(lab: Lab, rule: str, where: str, asked: int, mark: int) -> None:
    """Between namespaces it is wiped; within one it stays."""
    lab.sh(where, PREROUTING.format(rule))
    listener = lab.listen(where, "udp", "0.0.0.0", 6999)
    listener.sock.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
    lab.listeners.remove(listener)
    dst = "198.51.100.2" if where == "dst" else "198.51.100.1"
    try:
        told = lab.ask("src", f"{dst}:6999/udp", "--mark", str(asked))["request"]
        lab.send({"how": "socket", "ns": "src", "dst": dst, "sport": 4000, "dport": 6999, "proto": "udp", "mark": asked}, expected=2)
        assert told["verdict"] == "delivered" and told["packet"]["mark"] == mark == seen_by(listener)
    finally:
        listener.sock.close()


def test_a_mark_that_is_drawn(lab: Lab) -> None:
    lab.sh("dst", PREROUTING.format("numgen random mod 2 0 counter meta mark set 5"))
    lab.listen("dst", "udp", "0.0.0.0", 6999)
    told = lab.ask("src", "198.51.100.2:6999/udp")["request"]
    assert told["verdict"] == "delivered" and told["packet"]["mark"] is None
