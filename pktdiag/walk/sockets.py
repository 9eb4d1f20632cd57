"""Which socket gets a packet.

Sources: net/ipv4/udp.c (__udp4_lib_lookup, compute_score), net/ipv4/inet_hashtables.c (__inet_lookup_established,
inet_lhash2_lookup, compute_score), net/ipv6/udp.c, net/ipv6/inet6_hashtables.c, net/ipv4/raw.c (raw_v4_match).
"""

from __future__ import annotations

from pktdiag.model.host import Link, Process, Socket
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    PACKET_HOST,
    PROTO_NAMES,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    TCP_RST,
    TCP_SYN,
    TCP_SYN_RECV,
)
from pktdiag.model.packet import Packet, endpoint
from pktdiag.model.question import Question
from pktdiag.model.trace import Receiver
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TCP_SYN_SENT = 2
V4_MAPPED = bytes(10) + b"\xff\xff"


def _plain(address: bytes) -> bytes:
    """An IPv4-mapped address of a dual-stack socket, as IPv4."""
    return address[12:] if len(address) == 16 and address[:12] == V4_MAPPED else address


def candidates(ns: NamespaceView, proto: int, family: int) -> list[Socket]:
    """Sockets that can take packets of ``family``: its own, and for IPv4 the dual-stack IPv6 ones."""
    found = list(ns.sockets(proto, family))
    if family == AF_INET:
        found += [sock for sock in ns.sockets(proto, AF_INET6) if _dual_stack(sock)]
    return found


def met(ns: NamespaceView, packet: Packet, dev: Link) -> list[Socket]:
    """Of the candidates for a TCP, UDP or UDP-Lite packet those of its port."""
    return [sock for sock in ns.sockets_for(packet, dev.ifindex) if sock.family == packet.family or _dual_stack(sock)]


def _dual_stack(sock: Socket) -> bool:
    """Whether an IPv6 socket takes IPv4 packets."""
    return not sock.v6only and (not any(sock.local) or sock.local[:12] == V4_MAPPED)


def lookup(ns: NamespaceView, packet: Packet, dev: Link, listening: bool = False) -> list[Socket]:
    """The socket the kernel would pick for a TCP, UDP or UDP-Lite packet; several only where a reuseport group's hash (or the
    order of binding) decides among equals; empty when nobody takes it. ``listening``: connections apart."""
    found = met(ns, packet, dev)
    if packet.proto == IPPROTO_TCP:
        exact = connected(found, packet, dev)
        if exact and not listening and not (exact[0].state == TCP_SYN_RECV and packet.tcp_flags & (TCP_SYN | TCP_RST) == TCP_SYN):
            return exact[:1]
        # A SYN that meets its own request (TCP_NEW_SYN_RECV) is answered as the listener answers it (tcp_check_req); a SYN-ACK too:
        # it can acknowledge what the listener sent only by accident.
        found = [sock for sock in found if sock.state == TCP_LISTEN]
    scored = [(score, sock) for sock in found if (score := _score(sock, packet, dev)) is not None]
    if not scored:
        return []
    # Sockets bound to the address are looked up before the wildcard ones, whatever their score.
    best = max(score for score, _ in scored)
    return [sock for score, sock in scored if score == best]


def connected(found: list[Socket], packet: Packet, dev: Link) -> list[Socket]:
    """Of some sockets those whose other end sent the packet."""
    return [sock for sock in found if sock.state not in (TCP_LISTEN, 7) and _connected(sock, packet, dev)]


def demuxed(ns: NamespaceView, skb: Skb, dev: Link) -> tuple[Packet, Socket | None] | None:
    """Early demux: a connected socket is found before routing, by the addresses the packet has there, and keeps it whatever INPUT
    makes of them (net/ipv4/ip_input.c: ip_rcv_finish_core; tcp_v4_early_demux, udp_v4_early_demux and their IPv6 twins). The packet as
    it was and the socket, None where the lookup behind INPUT is the one that counts."""
    before, after = skb.extra.get("routed as"), skb.packet
    if not isinstance(before, Packet) or before[:5] == after[:5] or skb.pkt_type != PACKET_HOST:
        return None
    if before.ext_headers or before.fragment_offset or before.more_fragments:
        return None  # not of fragments, and in IPv6 only of what has its transport header right behind
    name = "tcp" if before.proto == IPPROTO_TCP else "udp"
    if "0" in (ns.sysctl("net/ipv4/ip_early_demux"), ns.sysctl(f"net/ipv4/{name}_early_demux")):
        return None
    found = connected(met(ns, before, dev), before, dev)
    return before, found[0] if found else None


def assumed(client: Any, ns: NamespaceView, packet: Packet, found: list[Socket], asked: Question, dev: Link) -> Socket | None:
    """The first socket found, or for an answer the sender's own: a connecting TCP socket stands among the established ones from
    its SYN on (tcp_v4_connect), which is after the host was read; a UDP sender need not exist at all yet. One bound to another
    device than ``dev`` is not found (inet_sk_bound_dev_eq)."""
    if client is not None and client.netns == ns.id and packet.proto == client.packet.proto and asked.oif in (0, dev.ifindex):
        sent = client.packet
        if (packet.dst, packet.dport, packet.src, packet.sport) == (sent.src, sent.sport, sent.dst, sent.dport) and (
                packet.proto == IPPROTO_TCP or not found):
            exact = [sock for sock in found if sock.state not in (TCP_LISTEN, 7)]
            return exact[0] if exact else Socket(packet.family, packet.proto, TCP_SYN_SENT, sent.src, sent.sport, sent.dst, sent.dport,
                                                 0, 0, asked.uid, False, asked.mark, 0, 0)
    return found[0] if found else None


def _connected(sock: Socket, packet: Packet, dev: Link) -> bool:
    return (_plain(sock.local) == packet.dst and sock.lport == packet.dport and _plain(sock.remote) == packet.src
            and sock.rport == packet.sport and sock.ifindex in (0, dev.ifindex))


def _score(sock: Socket, packet: Packet, dev: Link) -> tuple[int, int] | None:
    """compute_score(), with (bound to the address, score): None when the socket does not match at all."""
    if sock.lport != packet.dport:
        return None
    local = _plain(sock.local)
    bound = any(local)
    if bound and local != packet.dst:
        return None
    if sock.ifindex and sock.ifindex != dev.ifindex:
        return None
    score = 1 if sock.family == packet.family else 0
    if packet.proto != IPPROTO_TCP and sock.state == TCP_ESTABLISHED:
        remote = _plain(sock.remote)
        if (any(remote) and remote != packet.src) or (sock.rport and sock.rport != packet.sport):
            return None
        score += 8
    if sock.ifindex:
        score += 4
    return int(bound), score


def raw_sockets(ns: NamespaceView, packet: Packet, dev: Link) -> list[Socket]:
    """Raw sockets that get a copy: sock_diag reports their protocol as the local port."""
    found = []
    for sock in ns.sockets(255, packet.family):
        if sock.lport != packet.proto and sock.proto != packet.proto:
            continue
        if any(sock.local) and sock.local != packet.dst:
            continue
        if any(sock.remote) and sock.remote != packet.src:
            continue
        if sock.ifindex in (0, dev.ifindex):
            found.append(sock)
    return found


def describe(sock: Socket) -> str:
    """``udp 0.0.0.0:8000``"""
    name = PROTO_NAMES.get(sock.proto, str(sock.proto))
    text = f"{name} {endpoint(sock.local, sock.lport)}"
    if sock.rport:
        text += f" from {endpoint(sock.remote, sock.rport)}"
    return text


def receiver(ns: NamespaceView, sock: Socket, container: str | None) -> Receiver:
    """Names the owner of a socket."""
    owners: list[Process] = list(ns.socket_processes(sock))
    if not owners:
        return Receiver(ns.id, None, None, container, describe(sock))
    first = min(owners, key=lambda process: process.pid)
    return Receiver(ns.id, first.pid, first.name, first.container or container, describe(sock))


