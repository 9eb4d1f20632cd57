"""A client, a router and a server in namespaces of their own, and services that record instead of walking.

    client 198.51.100.2 --- 198.51.100.1 router 203.0.113.1 --- 203.0.113.2 server
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.conntrack import bind
from pktdiag.model.packet import Packet, parse_address
from pktdiag.netfilter import hooks
from pktdiag.netfilter.context import HookContext, HookResult, NatRange, Skb, Unknown

_libc = ctypes.CDLL(None, use_errno=True)
PREFIX = f"pdct{os.getpid()}"

CLIENT, SERVER = "198.51.100.2", "203.0.113.2"
ROUTER_IN, ROUTER_OUT = "198.51.100.1", "203.0.113.1"
SIX = {CLIENT: "2001:db8:1::2", ROUTER_IN: "2001:db8:1::1", SERVER: "2001:db8:2::2", ROUTER_OUT: "2001:db8:2::1"}


@contextmanager
def inside(name: str) -> Iterator[None]:
    """The calling thread is in the namespace meanwhile; sockets opened there stay there."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as target:
        assert _libc.setns(target.fileno(), 0x40000000) == 0
        try:
            yield
        finally:
            assert _libc.setns(home.fileno(), 0x40000000) == 0


class FakeServices:
    """context.Services without a walk: records, decides True, binds NAT."""

    def __init__(self, host: LiveHost) -> None:
        self.host, self.conns, self.forced_state = host, {}, None
        self.hits: list[Any] = []
        self.asked: list[str] = []
        self.logged: list[str] = []
        self.answer = True

    def decide(self, condition: Unknown, consistent_key: object = None) -> bool:
        self.asked.append(condition.condition)
        return self.answer

    def hit(self, rule: Any) -> None:
        self.hits.append(rule)

    def uncertain(self, rule: Any) -> None:
        pass

    def reroute(self, ctx: HookContext) -> str | None:
        return None

    def note(self, *args: object, **kwargs: object) -> None:
        pass

    def log_line(self, ctx: HookContext, rule: Any, prefix: str, level: int, flags: int, kind: str) -> None:
        self.logged.append(prefix)

    def nat_setup(self, ctx: HookContext, range_: NatRange, source: bool) -> HookResult:
        return bind.setup(ctx, range_, source)

    def masquerade(self, ctx: HookContext, range_: NatRange) -> HookResult:
        here = ROUTER_OUT if len(ctx.skb.packet.dst) == 4 else SIX[ROUTER_OUT]
        return bind.masquerade(ctx, range_, parse_address(here))

    def redirect(self, ctx: HookContext, range_: NatRange) -> HookResult:
        return bind.redirect(ctx, range_)


class Lab:
    def __init__(self, tag: str = "") -> None:
        self.names = {role: f"{PREFIX}{tag}{role[0]}" for role in ("client", "router", "server")}
        self.host = LiveHost()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
        client, router, server = self.names.values()
        for left, right, here, there in ((client, router, CLIENT, ROUTER_IN), (server, router, SERVER, ROUTER_OUT)):
            up = "up0" if right == router and left == client else "down0"
            batch = [f"link add eth0 netns {left} type veth peer name {up} netns {right}"]
            subprocess.run(["ip", "-batch", "-"], input="\n".join(batch), text=True, check=True)
            self.ip(left, f"addr add {here}/24 dev eth0", f"addr add {SIX[here]}/64 dev eth0 nodad",
                    "link set eth0 up", "link set lo up", f"route add default via {there}",
                    f"route add ::/0 via {SIX[there]}")
            self.ip(right, f"addr add {there}/24 dev {up}", f"link set {up} up", "link set lo up",
                    f"addr add {SIX[there]}/64 dev {up} nodad")
        self.run("router", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")

    def ip(self, name: str, *commands: str) -> None:
        subprocess.run(["ip", "-n", name, "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)

    def run(self, role: str, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run(["ip", "netns", "exec", self.names[role], *command], check=True, capture_output=True, text=True,
                              input=stdin)
        return done.stdout

    def view(self, role: str) -> Any:
        self.host.refresh()
        return self.host.namespace(os.stat(f"/run/netns/{self.names[role]}").st_ino)

    def bound(self, role: str, kind: int, address: str, port: int) -> socket.socket:
        with inside(self.names[role]):
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(2)
        sock.bind((address, port))
        return sock

    def conntrack(self, role: str = "router") -> list[str]:
        """``conntrack -L`` lines, without counters of time."""
        return [line for line in self.run(role, "conntrack", "-L").splitlines() if line]

    def clean(self) -> None:
        self.run("router", "nft", "flush", "ruleset")
        for table in ("nat", "mangle", "raw", "filter"):
            if os.path.exists("/usr/sbin/iptables-legacy"):
                self.run("router", "iptables-legacy", "-t", table, "-F")
                self.run("router", "ip6tables-legacy", "-t", table, "-F")
        self.run("router", "conntrack", "-F")

    def close(self) -> None:
        self.host.close()
        for name in self.names.values():
            with suppress(subprocess.CalledProcessError):
                subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


class Crossing:
    """One packet forwarded through the router's three hooks, predicted."""

    def __init__(self, lab: Lab, services: FakeServices | None = None) -> None:
        self.view = lab.view("router")
        self.services = services or FakeServices(lab.host)
        self.up, self.down = self.view.link_named("up0"), self.view.link_named("down0")

    def forward(self, packet: Packet, *, back: bool = False) -> tuple[Skb, HookResult]:
        indev, outdev = (self.down, self.up) if back else (self.up, self.down)
        return self.through(packet, (0, indev, None), (2, indev, outdev), (4, None, outdev))

    def arrive(self, packet: Packet) -> tuple[Skb, HookResult]:
        """To the router itself."""
        return self.through(packet, (0, self.up, None), (1, self.up, None))

    def leave(self, packet: Packet) -> tuple[Skb, HookResult]:
        """From the router itself."""
        return self.through(packet, (3, None, self.down), (4, None, self.down))

    def through(self, packet: Packet, *stations: tuple[int, Any, Any]) -> tuple[Skb, HookResult]:
        skb = Skb(packet)
        for hook, here, there in stations:
            pf = 2 if len(packet.dst) == 4 else 10
            ctx: Any = HookContext(self.services, self.view, pf, hook, skb, here, there)  # type: ignore[arg-type]
            result = hooks.run(ctx)
            if result.action != "accept":
                return skb, result
        return skb, result


def packet(src: str, sport: int, dst: str, dport: int, proto: int = 17, **fields: Any) -> Packet:
    return Packet(src=parse_address(src), dst=parse_address(dst), proto=proto, sport=sport, dport=dport, **fields)


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    lab = Lab()
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture
def fresh_lab() -> Iterator[Lab]:
    """Of its own: a legacy table, once there, stays for the life of its namespace."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    made = Lab("f")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    shared_lab.clean()
    yield shared_lab
