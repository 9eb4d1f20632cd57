"""The lab of the demonstration::

    outside                          host                                       web (imitates a container)
    198.51.100.2 eth0 ---- eth0 198.51.100.1   br-web 172.30.0.1 -- veth-web ---- eth0 172.30.0.2
                                                                                  a UDP server on port 8000
"""

from __future__ import annotations

import _socket
import os

from pktdiag.cli.demo import isolate, rtnl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

OUTSIDE, HOST, BRIDGE, WEB, PORT = "198.51.100.2", "198.51.100.1", "172.30.0.1", "172.30.0.2", 8000
GREETING = b"hello from web"


class Lab:
    """Built inside ``isolate.run``; the process that builds it stands in ``host``."""

    def __init__(self) -> None:
        rtnl.set_up("lo")
        self._outside, self._orders = _resident("outside", _client)
        self._web, web_orders = _resident("web", _server)
        rtnl.add_veth("eth0", "eth0", self._outside)
        rtnl.add_veth("veth-web", "eth0", self._web)
        rtnl.add_bridge("br-web")
        rtnl.add_address("eth0", HOST, 24)
        rtnl.add_address("br-web", BRIDGE, 24)
        rtnl.set_up("eth0")
        rtnl.set_up("veth-web", master="br-web")
        rtnl.set_up("br-web")
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")  # the lab's own: /proc/sys/net is this namespace's
        for orders in (self._orders, web_orders):
            orders.send(b"go")
            orders.recv(64)

    def send(self) -> bytes | None:
        """Sends a real datagram from outside to HOST:PORT. The answer, b"" for a refusal (port unreachable), None for silence."""
        self._orders.send(b"send")
        kind, _, data = self._orders.recv(256).partition(b" ")
        return {b"answer": data, b"refused": b""}.get(kind)


def _resident(name: str, live: Callable[[_socket.socket], NoReturn]) -> tuple[int, _socket.socket]:
    """A process in a network namespace of its own, known as ``ip netns`` would know it."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    child = os.fork()
    if not child:
        try:
            ours.close()
            isolate.unshare(isolate.CLONE_NEWNET)
            isolate.name_process(f"{name}-{'server' if name == 'web' else 'client'}")
            theirs.send(b"here")
            theirs.recv(64)
            live(theirs)
        finally:
            os._exit(1)
    theirs.close()
    ours.recv(64)
    target = f"/run/netns/{name}"
    os.close(os.open(target, os.O_CREAT | os.O_RDONLY))
    isolate.mount(f"/proc/{child}/ns/net", target, "none", isolate.MS_BIND)
    return child, ours


def _plug_in(address: str, gateway: str) -> None:
    rtnl.set_up("lo")
    rtnl.add_address("eth0", address, 24)
    rtnl.set_up("eth0")
    rtnl.add_default_route(gateway)


def _server(orders: _socket.socket) -> NoReturn:
    _plug_in(WEB, BRIDGE)
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", PORT))
    orders.send(b"ready")
    while True:
        _, sender = sock.recvfrom(2048)
        sock.sendto(GREETING, sender)


def _client(orders: _socket.socket) -> NoReturn:
    _plug_in(OUTSIDE, HOST)
    orders.send(b"ready")
    while orders.recv(64):
        sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        sock.connect((HOST, PORT))
        sock.settimeout(2.0)
        try:
            sock.send(b"hello")
            orders.send(b"answer " + sock.recv(2048))
        except ConnectionRefusedError:
            orders.send(b"refused")
        except OSError:
            orders.send(b"silence")
        finally:
            sock.close()
    os._exit(0)
