"""Just enough rtnetlink and nf_tables netlink to build the demonstration's lab. Nothing else in pktdiag may change anything:
this is only ever called inside namespaces that the demonstration made (``isolate``).

Formats: include/uapi/linux/rtnetlink.h, if_link.h, netfilter/nf_tables.h.
"""

from __future__ import annotations

import _socket
import struct

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 1, 4, 0x200, 0x400, 0x800
RTM_NEWLINK, RTM_SETLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 19, 20, 24
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_NEWTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE = 0, 3, 6
NESTED = 0x8000


def attr(kind: int, value: bytes | str | int | list[bytes]) -> bytes:
    """One attribute: text gets its NUL, numbers are 32 bits in host order, a list nests."""
    if isinstance(value, list):
        kind, data = kind | NESTED, b"".join(value)
    elif isinstance(value, str):
        data = value.encode() + b"\0"
    elif isinstance(value, int):
        data = struct.pack("=I", value)
    else:
        data = value
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def message(kind: int, flags: int, payload: bytes, sequence: int = 1) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags | NLM_F_REQUEST, sequence, 0) + payload


def send(protocol: int, data: bytes, last: int = 1) -> None:
    """Sends messages and waits for the acknowledgement of number ``last``. Raises OSError with the kernel's reason."""
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    try:
        sock.sendto(data, (0, 0))
        while True:
            answer = sock.recv(65536)
            while len(answer) >= 16:
                length, kind, _, sequence, _ = struct.unpack_from("=IHHII", answer)
                if kind == 2:  # NLMSG_ERROR
                    code = struct.unpack_from("=i", answer, 16)[0]
                    if code:
                        import os
                        raise OSError(-code, os.strerror(-code))
                    if sequence == last:
                        return
                answer = answer[(length + 3) & ~3:]
    finally:
        sock.close()


def _link(index: int, flags: int, change: int) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, flags, change)


def add_bridge(name: str) -> None:
    send(NETLINK_ROUTE, message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                                _link(0, 1, 1) + attr(3, name) + attr(18, [attr(1, "bridge")])))


def add_veth(name: str, peer: str, peer_pid: int) -> None:
    """``peer`` is born in the namespace of process ``peer_pid``."""
    other = _link(0, 0, 0) + attr(3, peer) + attr(19, peer_pid)  # IFLA_NET_NS_PID
    info = attr(18, [attr(1, "veth"), attr(2, [attr(1, other)])])
    send(NETLINK_ROUTE, message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, _link(0, 0, 0) + attr(3, name) + info))


def set_up(name: str, master: str | None = None) -> None:
    more = attr(10, _socket.if_nametoindex(master)) if master else b""
    send(NETLINK_ROUTE, message(RTM_SETLINK, NLM_F_ACK, _link(_socket.if_nametoindex(name), 1, 1) + more))


def add_address(name: str, address: str, length: int) -> None:
    packed = _socket.inet_aton(address)
    head = struct.pack("=BBBBi", _socket.AF_INET, length, 0, 0, _socket.if_nametoindex(name))
    send(NETLINK_ROUTE, message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, head + attr(1, packed) + attr(2, packed)))


def add_default_route(gateway: str) -> None:
    head = struct.pack("=BBBBBBBBI", _socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 0)  # main, boot, universe, unicast
    send(NETLINK_ROUTE, message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE, head + attr(5, _socket.inet_aton(gateway))))


def add_dnat(proto: int, dst: str, port: int, to: str, to_port: int) -> None:
    """``nft add rule ip demo prerouting ip daddr DST l4proto dport PORT counter dnat to TO:PORT``, with its table and chain."""
    def nft(kind: int, flags: int, sequence: int, *attributes: bytes) -> bytes:
        return message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags | NLM_F_ACK, struct.pack("=BBH", 2, 0, 0) + b"".join(attributes), sequence)

    def edge(kind: int, sequence: int) -> bytes:
        return message(kind, 0, struct.pack(">BBH", 0, 0, NFNL_SUBSYS_NFTABLES), sequence)

    def number(value: int) -> bytes:
        return struct.pack(">I", value)

    def expr(name: str, *attributes: bytes) -> bytes:
        return attr(1, [attr(1, name), attr(2, list(attributes))])

    def load(base: int, offset: int, length: int) -> bytes:
        return expr("payload", attr(1, number(1)), attr(2, number(base)), attr(3, number(offset)), attr(4, number(length)))

    def equal(data: bytes) -> bytes:
        return expr("cmp", attr(1, number(1)), attr(2, number(0)), attr(3, [attr(1, data)]))

    def immediate(register: int, data: bytes) -> bytes:
        return expr("immediate", attr(1, number(register)), attr(2, [attr(1, data)]))

    expressions = [
        load(1, 16, 4), equal(_socket.inet_aton(dst)),
        expr("meta", attr(1, number(1)), attr(2, number(16))), equal(bytes((proto,))),
        load(2, 2, 2), equal(struct.pack(">H", port)), expr("counter"),
        immediate(1, _socket.inet_aton(to)), immediate(2, struct.pack(">H", to_port)),
        expr("nat", attr(1, number(1)), attr(2, number(2)), attr(3, number(1)), attr(5, number(2))),
    ]
    hook = attr(4, [attr(1, number(0)), attr(2, struct.pack(">i", -100))])
    batch = (edge(NFNL_MSG_BATCH_BEGIN, 1)
             + nft(NFT_MSG_NEWTABLE, NLM_F_CREATE, 2, attr(1, "demo"))
             + nft(NFT_MSG_NEWCHAIN, NLM_F_CREATE, 3, attr(1, "demo"), attr(3, "prerouting"), hook, attr(7, "nat"))
             + nft(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, 4, attr(1, "demo"), attr(2, "prerouting"), attr(4, expressions))
             + edge(NFNL_MSG_BATCH_END, 5))
    send(NETLINK_NETFILTER, batch, last=4)
