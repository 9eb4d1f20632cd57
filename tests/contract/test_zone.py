"""``fe80::1%eth0``: the device is part of the address, for pktdiag as for the socket that sends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from .lab import Lab, pktdiag

pytestmark = pytest.mark.root
PORT = 8000


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Two links to two stations with the same link-local address; one of them listens."""
    lab = Lab("zone")
    try:
        lab.netns("host", "left", "right")
        for other, dev in (("left", "eth1"), ("right", "eth2")):
            lab.wire("host", dev, other, "eth0")
            lab.sh(other, "ip addr add fe80::2/64 dev eth0 nodad")
            lab.sh("host", f"ip addr add fe80::1/64 dev {dev} nodad")
        with lab.places["right"].inside():
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.bind(("::", PORT))
        sock.settimeout(2)
        lab.heard = sock  # type: ignore[attr-defined]
        yield lab
        sock.close()
    finally:
        lab.close()


def send(lab: Any, dev: str) -> str:
    """What became of a datagram sent there: "received", or the error its sender reads."""
    with lab.places["host"].inside():
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        scope = socket.if_nametoindex(dev)
    with sock:
        sock.settimeout(2)
        sock.connect(("fe80::2", PORT, 0, scope))
        sock.send(dev.encode())
        if dev == "eth1":
            with pytest.raises(ConnectionRefusedError):
                sock.recv(1)
            return "refused"
        assert lab.heard.recv(16) == dev.encode()
        return "received"


@pytest.mark.parametrize(("dev", "verdict", "end"), [("eth1", "rejected", "refused"), ("eth2", "delivered", "received")])
def test_the_device_decides(lab: Lab, dev: str, verdict: str, end: str) -> None:
    document = lab.ask("host", f"[fe80::2%{dev}]:{PORT}/udp", command="trace")
    assert document["request"]["verdict"] == verdict, document["summary"]
    assert {s["device"] for s in document["request"]["sightings"] if s["netns"] == lab.places["host"].id} == {dev}
    assert send(lab, dev) == end


def test_by_number_and_from_outside(lab: Lab) -> None:
    with lab.places["host"].inside():
        index = socket.if_nametoindex("eth2")
    document = lab.ask("host", f"[fe80::2%{index}]:{PORT}/udp", command="trace")
    assert document["request"]["receiver"]["netns"] == lab.places["right"].id
    document = lab.ask("host", "fe80::99%eth2", "fe80::1", command="trace")
    assert document["request"]["sightings"][0]["device"] == "eth2"


@pytest.mark.parametrize(("words", "says"), [
    (("fe80::2%eth9",), "no interface 'eth9'"),
    (("2001:db8::1%eth1",), "takes no %eth1"),
    (("fe80::2%",), "names no device"),
    (("fe80::1%eth1", "fe80::2%eth2"), "two links"),
])
def test_what_is_wrong_is_said_in_one_line(lab: Lab, words: tuple[str, ...], says: str) -> None:
    done = pktdiag("trace", *words, netns=lab.name("host"))
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done
