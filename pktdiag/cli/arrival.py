"""On which interface a packet from outside arrives, when nobody says: the one the way back would use."""

from __future__ import annotations

from pktdiag.cli.errors import CliError
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, AF_INET6, IPPROTO_UDP
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.question import Question
from pktdiag.model.view import HostView, NamespaceView


def arrival(host: HostView, ns: NamespaceView, src: bytes, dst: bytes) -> tuple[int, bytes | None, str]:
    """(ifindex, frame destination or None, the assumption in words). Raises CliError where no route leads back."""
    oif = way_back(host, ns, src)
    link = ns.link(oif) if oif else None
    if link is None or link.loopback:
        raise CliError("no-way-in", f"{format_address(src)} is no address of this host and no route leads back to it", "",
                       "name the interface it arrives on with --in IFACE")
    port = _outer_port(ns, link)
    text = f"it arrives on {port.name}, where the way back to {format_address(src)} leads (--in IFACE)"
    return port.ifindex, link.mac if port is not link else None, text


def way_back(host: HostView, ns: NamespaceView, src: bytes) -> int | None:
    """ifindex a packet to ``src`` would leave by; None without a route."""
    from pktdiag.walk import fib
    from pktdiag.walk.state import Walk
    walk = Walk(host, Question(ns.id, Packet(src, src, IPPROTO_UDP)), lambda condition: True)
    family = AF_INET if len(src) == 4 else AF_INET6
    match = fib.lookup(walk, ns, fib.Flow(family=family, dst=src, src=None, iif=fib.LOOPBACK_IFINDEX, oif=0, mark=0, tos=0,
                                          proto=0, sport=0, dport=0, uid=0))
    return match.nexthop.ifindex if match.ok and match.nexthop is not None else None


def _outer_port(ns: NamespaceView, link: Link) -> Link:
    """A bridge has no wire of its own: frames from outside come through the port that leads out, if there is one."""
    if link.kind != "bridge":
        return link
    ports = [port for port in ns.ports(link.ifindex) if port.kind not in ("veth", "tun", "bridge")]
    return ports[0] if len(ports) == 1 else link
