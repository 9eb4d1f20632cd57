"""A router between two stations, all in namespaces of their own, whose ruleset pktdiag reads back.

    client 198.51.100.2 --- up0 router down0 --- 203.0.113.2 server          (2001:db8:1::/64 and 2001:db8:2::/64)
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.model.packet import Packet
from pktdiag.model.question import Question
from pktdiag.model.trace import Trace
from pktdiag.netfilter.nft.load import ruleset
from pktdiag.netfilter.nft.rule import Rule
from pktdiag.walk.api import trace

from .packets import frame, mac, send

FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}


STATION = "02:00:00:00:00:02"


class Lab:
    """Namespaces without any way out, removed whatever happens."""

    def __init__(self, roles: tuple[str, ...] = ("router",)) -> None:
        tag = uuid.uuid4().hex[:6]
        self.names = {role: f"pdnf{tag}{role[0]}" for role in roles}
        self.host = LiveHost()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.ip(name, "link set lo up")

    @staticmethod
    def ip(name: str, *commands: str) -> None:
        subprocess.run(["ip", "-n", name, "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)

    def run(self, *command: str, stdin: str | None = None, role: str = "router", check: bool = True) -> str:
        done = subprocess.run(["ip", "netns", "exec", self.names[role], *command], input=stdin, capture_output=True, text=True,
                              check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout if check else done.stderr if done.returncode else ""

    def nft(self, text: str) -> str:
        """Loads a ruleset; what nft says against it, or nothing."""
        return self.run("nft", "-f", "-", stdin=text, check=False)

    def view(self, role: str = "router") -> Any:
        self.host.refresh()
        return self.host.namespace(os.stat(f"/run/netns/{self.names[role]}").st_ino)

    def rules(self, family: str, table: str, chain: str) -> list[Rule]:
        view = self.view()
        return ruleset(view).rules(FAMILIES[family], table, chain)

    def close(self) -> None:
        self.host.close()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


class Router(Lab):
    """The stations have links but no addresses: nothing comes from them but what a test sends."""

    def __init__(self) -> None:
        super().__init__(("client", "router", "server"))
        client, router, server = self.names.values()
        for role in self.names:
            self.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=" + str(int(role != "router")),
                     "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.router_solicitations=0",
                     "net.ipv6.conf.default.mldv2_unsolicited_report_interval=1", role=role)
        for left, near, four, six in ((client, "up0", "198.51.100", "2001:db8:1:"), (server, "down0", "203.0.113", "2001:db8:2:")):
            subprocess.run(["ip", "link", "add", "eth0", "address", STATION, "netns", left, "type", "veth", "peer", "name", near,
                            "netns", router], check=True)
            self.ip(left, "link set eth0 up")
            self.ip(router, f"addr add {four}.1/24 dev {near}", f"addr add {six}:1/64 dev {near} nodad", f"link set {near} up",
                    f"neigh add {four}.2 lladdr {STATION} dev {near}", f"neigh add {six}:2 lladdr {STATION} dev {near}")
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self._macs = mac(client, "eth0"), mac(router, "up0")
        time.sleep(1.2)  # the router's own reports of its groups pass its rules, too

    def asked(self, packet: Packet) -> Trace:
        """The packet as a frame from the client, foretold."""
        view = self.view()
        return trace(self.host, Question(view.id, packet, view.link_named("up0").ifindex, *self._macs, with_reply=False))

    def sent(self, packet: Packet) -> None:
        """The same packet, for real."""
        send(self.names["client"], "eth0", frame(packet, *self._macs))


@pytest.fixture
def lab() -> Iterator[Lab]:
    if os.geteuid():
        pytest.skip("needs root: network namespaces")
    made = Lab()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    if os.geteuid():
        pytest.skip("needs root: network namespaces")
    made = Router()
    try:
        yield made
    finally:
        made.close()
