"""Sockets: SOCK_DIAG_BY_FAMILY (net/ipv4/inet_diag.c: inet_sk_diag_fill), /proc/net where the kernel has no sock_diag
for a protocol (ping sockets never, raw ones without CONFIG_INET_RAW_DIAG)."""

from __future__ import annotations

import errno
from struct import Struct
from sys import byteorder

from pktdiag.collect.netlink import attributes, u32
from pktdiag.collect.nsenter import Door
from pktdiag.model.host import Socket
from pktdiag.model.kernel import AF_INET, AF_INET6, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, TCP_LISTEN

SOCK_DIAG_BY_FAMILY = 20
IPPROTO_RAW = 255
_REQUEST = Struct("=BBBBI2s46x")  # struct inet_diag_req_v2: family, protocol, ext, pad, states, id (its source port first)
_MESSAGE = Struct("=BBBB2s2s16s16sI8xIIIII")  # family, state, timer, retrans, id, expires, rqueue, wqueue, uid, inode
INET_DIAG_SKV6ONLY, INET_DIAG_MARK, INET_DIAG_CGROUP_ID, INET_DIAG_SOCKOPT = 11, 15, 21, 22
_EXACT = Struct("=BBBBI2s2s16s16sI8s")
_ALL_STATES, _NO_COOKIE = 0xFFFFFFFF, b"\xff" * 8
_NO_HANDLER = (errno.ENOENT, errno.EINVAL)
"""inet_diag_lock_handler(): the protocol is not to be asked about."""


def read_sockets(door: Door, proto: int, family: int, lport: int = 0) -> tuple[Socket, ...]:
    """Sockets of one protocol and family, all or those of one local port: the kernel filters (inet_diag_dump_icsk,
    udp_dump: id.idiag_sport), which matters on a host with thousands of connections.

    For IPPROTO_RAW (255) ``lport`` is the IP protocol it listens to, as the kernel keeps it (raw_diag.c); for ICMP they
    are the ping sockets, ``lport`` the echo id.
    """
    if proto in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        return _of_port(_from_proc(door, proto, family), lport)
    try:
        return _dump(door, proto, family, lport, _ALL_STATES)
    except OSError as error:
        if error.errno in _NO_HANDLER:
            return _of_port(_from_proc(door, proto, family), lport)
        raise


def _dump(door: Door, proto: int, family: int, lport: int, states: int) -> tuple[Socket, ...]:
    request = _REQUEST.pack(family, proto, 0, 0, states, lport.to_bytes(2, "big"))
    return tuple(_decode(payload, proto) for payload in door.diag().dump(SOCK_DIAG_BY_FAMILY, request) if payload[0] == family)


def read_tcp(door: Door, near: tuple[bytes, int], far: tuple[bytes, int], ifindex: int) -> tuple[Socket, ...]:
    """The TCP sockets a packet from ``far`` to ``near`` can meet: the listeners of the port, those of IPv6 for IPv4 too, and the one
    that has this connection, looked up as the kernel does it for a packet from that interface (inet_diag_find_one_icsk). A dump of
    connections goes through those of all namespaces (inet_diag_dump_icsk), of listeners alone it does not."""
    (local, lport), (remote, rport) = near, far
    families = (AF_INET, AF_INET6) if len(local) == 4 else (AF_INET6,)
    try:
        found = [sock for family in families for sock in _dump(door, IPPROTO_TCP, family, lport, 1 << TCP_LISTEN) if sock.lport == lport]
    except OSError as error:
        if error.errno not in _NO_HANDLER:
            raise
        return tuple(sock for family in families for sock in _from_proc(door, IPPROTO_TCP, family) if sock.lport == lport)
    request = _EXACT.pack(families[0], IPPROTO_TCP, 0, 0, _ALL_STATES, lport.to_bytes(2, "big"), rport.to_bytes(2, "big"), local, remote,
                          ifindex, _NO_COOKIE)
    try:
        payload = door.diag().get(SOCK_DIAG_BY_FAMILY, request)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return tuple(found)
    one = _decode(payload, IPPROTO_TCP) if payload is not None else None
    return tuple(found) if one is None or one.state == TCP_LISTEN else (*found, one)


def _of_port(sockets: tuple[Socket, ...], lport: int) -> tuple[Socket, ...]:
    return tuple(sock for sock in sockets if sock.lport == lport) if lport else sockets


def _decode(payload: bytes, proto: int) -> Socket:
    (family, state, _timer, _retrans, sport, dport, src, dst, ifindex, _expires, rqueue, wqueue, uid,
     inode) = _MESSAGE.unpack_from(payload)
    found = attributes(payload, 72)
    width = 4 if family == AF_INET else 16
    mark, cgroup, options = found.get(INET_DIAG_MARK), found.get(INET_DIAG_CGROUP_ID), found.get(INET_DIAG_SOCKOPT)
    return Socket(
        family, proto, state, src[:width], int.from_bytes(sport, "big"), dst[:width], int.from_bytes(dport, "big"), ifindex,
        inode, uid, bool(found.get(INET_DIAG_SKV6ONLY, b"\0")[0]), 0 if mark is None else u32(mark), rqueue, wqueue,
        # struct inet_diag_sockopt: recverr, is_icsk, freebind, hdrincl, mc_loop, transparent, mc_all, nodefrag
        transparent=options is not None and bool(options[0] & 0x20),
        cgroup_id=None if cgroup is None else int.from_bytes(cgroup, byteorder),
    )


_PROC_FILES = {6: "tcp", 17: "udp", 136: "udplite", 255: "raw", 1: "icmp", 58: "icmp6"}


def _from_proc(door: Door, proto: int, family: int) -> tuple[Socket, ...]:
    """/proc/net/raw and its like (net/ipv4/raw.c: raw_sock_seq_show). They do not show the bound device, the mark or
    IPV6_V6ONLY: those come out as 0 and False. Empty where the kernel does not know the protocol."""
    name = _PROC_FILES.get(proto)
    if name is None or (name == "icmp" and family != AF_INET) or (name == "icmp6" and family != AF_INET6):
        return ()
    if family == AF_INET6 and not name.endswith("6"):
        name += "6"
    content = door.read(f"/proc/thread-self/net/{name}")
    lines = (content or b"").decode("ascii", "replace").splitlines()[1:]
    return tuple(_from_line(line.split(), proto, family) for line in lines if line.strip())


def _from_line(fields: list[str], proto: int, family: int) -> Socket:
    """sl local remote st tx:rx tr:when retransmit uid timeout inode …; addresses are host-order 32-bit words in hex."""
    local, lport = _endpoint(fields[1])
    remote, rport = _endpoint(fields[2])
    tx, rx = fields[4].split(":")
    return Socket(family, proto, int(fields[3], 16), local, lport, remote, rport, 0, int(fields[9]), int(fields[7]), False, 0,
                  int(rx, 16), int(tx, 16))


def _endpoint(text: str) -> tuple[bytes, int]:
    address, _, port = text.partition(":")
    words = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    return b"".join(word.to_bytes(4, byteorder) for word in words), int(port, 16)
