"""A request flooded to many: the trace that leaves bystanders out is the one that follows every copy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.collect.netlink import Netlink
from pktdiag.model.packet import Packet, parse_address
from pktdiag.model.question import Question
from pktdiag.model.trace import Trace
from pktdiag.walk import bystanders
from pktdiag.walk.api import trace

pytestmark = pytest.mark.root
STATIONS = 40
PREFIX = f"pdby{os.getpid()}"


def run(*words: str, lines: list[str] | None = None) -> None:
    done = subprocess.run(words, input="\n".join(lines or []), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


def inside(name: str, *lines: str) -> None:
    run("ip", "-n", f"{PREFIX}{name}", "-batch", "-", lines=list(lines))


def sysctl(name: str, *settings: str) -> None:
    run("ip", "netns", "exec", f"{PREFIX}{name}", "sysctl", "-qw", *settings)


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """A bridge with forty stations 198.51.100.1 and up, some of which have more to say than their own address."""
    names = ["hub", "beyond", *(str(number) for number in range(1, STATIONS + 1))]
    try:
        for name in names:
            run("ip", "netns", "add", f"{PREFIX}{name}")
        lines = ["link add br0 address 02:00:00:00:00:fe type bridge", "link set br0 up", "address add 198.51.100.254/24 dev br0"]
        for number in range(1, STATIONS + 1):
            lines += [f"link add p{number} type veth peer name eth0 address 02:00:00:00:00:{number:02x} netns {PREFIX}{number}",
                      f"link set p{number} master br0 up"]
        inside("hub", *lines)
        for number in range(1, STATIONS + 1):
            sysctl(str(number), "net.ipv4.ip_forward=0")
            inside(str(number), "link set lo up", f"address add 198.51.100.{number}/24 dev eth0", "link set eth0 up")
        # One answers for a whole prefix, one stands in for everybody, one for somebody, one keeps silent about itself.
        inside("21", "route add local 198.51.100.128/29 dev lo")
        inside("22", "route add 198.51.100.136/29 dev lo")
        sysctl("22", "net.ipv4.conf.eth0.forwarding=1", "net.ipv4.conf.all.proxy_arp=1", "net.ipv4.neigh.eth0.proxy_delay=0")
        sysctl("23", "net.ipv4.conf.eth0.forwarding=1", "net.ipv4.conf.eth0.proxy_arp_pvlan=1")
        inside("24", "neigh add proxy 198.51.100.150 dev eth0", "route add 198.51.100.150 dev lo")
        sysctl("24", "net.ipv4.conf.eth0.forwarding=1", "net.ipv4.neigh.eth0.proxy_delay=0")
        sysctl("25", "net.ipv4.conf.eth0.arp_ignore=8")
        # One leads on to another bridge, one knows the asker by an old address, one has its end down.
        inside("26", "address del 198.51.100.26/24 dev eth0", "link add br1 address 02:00:00:00:01:26 type bridge", "link set eth0 master br1",
               f"link add leg0 type veth peer name eth0 netns {PREFIX}beyond", "link set leg0 master br1 up", "link set br1 up")
        inside("beyond", "address add 198.51.100.160/24 dev eth0", "link set eth0 up")
        inside("27", "neigh add 198.51.100.1 lladdr 02:00:00:00:00:77 dev eth0 nud stale")
        inside("28", "link set eth0 down")
        yield f"/run/netns/{PREFIX}1"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", f"{PREFIX}{name}"], check=False, capture_output=True)


def ask(path: str, target: str) -> Trace:
    with LiveHost() as host:
        ns = host.namespace(os.stat(path).st_ino)
        return trace(host, Question(ns.id, Packet(parse_address("198.51.100.1"), parse_address(target), 17, 4000, 53, length=60)))


@pytest.mark.parametrize(("target", "verdict"), [
    ("198.51.100.20", "rejected"), ("198.51.100.129", "rejected"), ("198.51.100.137", ""), ("198.51.100.150", ""),
    ("198.51.100.25", ""), ("198.51.100.26", ""), ("198.51.100.27", "rejected"), ("198.51.100.28", ""), ("198.51.100.160", "rejected"),
    ("198.51.100.200", ""), ("198.51.100.254", "rejected")])
def test_the_trace_is_the_same(hub: str, monkeypatch: pytest.MonkeyPatch, target: str, verdict: str) -> None:
    messages = [0]
    receive = Netlink._receive

    def counted(self: Netlink) -> bytes:
        messages[0] += 1
        return receive(self)

    monkeypatch.setattr(Netlink, "_receive", counted)
    left_out = ask(hub, target)
    few, messages[0] = messages[0], 0
    monkeypatch.setattr(bystanders, "FEW", 10 * STATIONS)
    followed = ask(hub, target)
    assert left_out.request == followed.request and left_out.reply == followed.reply
    assert not verdict or left_out.request.verdict == verdict
    assert few < messages[0]
