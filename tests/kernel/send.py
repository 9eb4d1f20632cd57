"""Puts one described packet on its way, by a real socket, a raw socket or a frame on a device, and says how it is tagged."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

from . import headers, rare
from .build import Built
from .frames import Tag

PROTOS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
PORTED = (33, 132, 136)
SACK = b"\1\1\5\x0a"
PacketSpec = dict[str, Any]
# A classic BPF program that refuses everything: attached to a connecting TCP socket it lets us see the answer on the taps
# while no third packet follows it.
_REFUSE = struct.pack("=HBBI", 0x06, 0, 0, 0)


def proto_number(spec: PacketSpec) -> int:
    proto = spec["proto"]
    if proto == "icmp" and ":" in spec["dst"]:
        return 58
    return PROTOS[proto] if isinstance(proto, str) else int(proto)


def icmp_kind(spec: PacketSpec) -> tuple[int, int]:
    """(type, code): an echo request unless told otherwise."""
    kind, code = spec.get("icmp") or ((128, 0) if ":" in spec["dst"] else (8, 0))
    return kind, code


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(src: bytes, dst: bytes, proto: int, length: int) -> bytes:
    if len(src) == 4:
        return src + dst + struct.pack(">BBH", 0, proto, length)
    return src + dst + struct.pack(">II", length, proto)


def make_tag(spec: PacketSpec, number: int, begun: dict[tuple[str, int, str, int], int] | None = None) -> Tag:
    """``number`` is unique within the lab. ``begun``: the first sequence numbers of connections, by (source, port,
    destination, port): what follows in one goes on from there, so that connection tracking finds it in its window."""
    token = b"JGd" + struct.pack(">IB", number, 0xA7)
    seq = None if spec["how"] == "socket" and spec["proto"] == "tcp" else 0x4A000000 + number * 65536
    mine, yours = first_numbers(spec, begun or {})
    if yours is None:  # NAT showed the taps other addresses; the ports of a host's packets are all different
        back = spec.get("dport", 0), spec.get("sport", 0)
        yours = next((isn for (_, sport, _, dport), isn in (begun or {}).items() if (sport, dport) == back), None)
    ack = 0x51000000 + number * 65536 if yours is None else yours + 1 & 0xFFFFFFFF
    if seq is not None and mine is not None and spec.get("flags", 2) & 0x12 != 2:
        seq = mine + 1 & 0xFFFFFFFF
    return Tag(token, proto_number(spec), seq, ack, spec.get("flags", 2),
               icmp_kind(spec)[0])


def numbers_invented(spec: PacketSpec, begun: dict[tuple[str, int, str, int], int]) -> bool:
    """Whether a segment that opens nothing bears numbers nobody ever sent: one of the two sides showed no first number."""
    if proto_number(spec) != 6 or spec["how"] == "socket" or spec.get("flags", 2) & 0x17 == 2:
        return False
    mine, yours = first_numbers(spec, begun)
    return mine is None or (bool(spec.get("flags", 2) & 0x10) and yours is None)


def first_numbers(spec: PacketSpec, begun: dict[tuple[str, int, str, int], int]) -> tuple[int | None, int | None]:
    """With which sequence number the sender, and whom it sends to, began; None where nobody saw one."""
    here, there = (spec["src"], spec.get("sport", 0)), (spec["dst"], spec.get("dport", 0))
    return begun.get((*here, *there)), begun.get((*there, *here))


def ip_length(spec: PacketSpec) -> int:
    """Bytes of the IP packet that will be sent."""
    if spec.get("ext") or spec.get("ipopts") or spec.get("frag"):
        return headers.length(spec) + _piece(spec)
    header = 40 if ":" in spec["dst"] else 20
    proto = proto_number(spec)
    if spec["how"] == "socket" and proto == 6:
        return header + 40
    if spec.get("known") and (made := rare.body(proto, spec, bytes(8), lambda _: 0)) is not None:
        return header + len(made)
    return max(int(spec.get("size", 0)), header + {6: 20 + len(spec.get("options", "")) // 2}.get(proto, 16))


def _piece(spec: PacketSpec) -> int:
    """Bytes behind the headers: of a first fragment the transport header with a little more, of a later one sixteen."""
    offset, more, _ = spec.get("frag") or (0, 0, 0)
    whole = ip_length(headers.bare(spec)) - (40 if ":" in spec["dst"] else 20)
    return 16 if offset else -(-whole // 8) * 8 + spec.get("odd", 0) if more else whole


def tcp_options(spec: PacketSpec, tag: Tag) -> bytes:
    """As told; what is acknowledged selectively begins where the acknowledgement ends, as a real peer's would. Conntrack looks."""
    options = bytes.fromhex(spec.get("options", ""))
    if options[:4] == SACK and tag.flags & 0x10:
        options = SACK + struct.pack(">II", tag.ack, tag.ack) + options[12:]
    return options


def padding(size: int) -> bytes:
    """What follows the token. Zeroes would leave the checksum of a first fragment right without the others."""
    return bytes(size) if size < 1400 else (b"\x5a\x01" * size)[:size]


def transport(spec: PacketSpec, tag: Tag, src: bytes, dst: bytes) -> bytes:
    """The transport header and payload of a packet we make ourselves; of a fragment what it holds of them."""
    if spec.get("ext") or spec.get("ipopts") or spec.get("frag"):
        offset, more, _ = spec.get("frag") or (0, 0, 0)
        plain, size = headers.bare(spec), _piece(spec)
        if offset:
            return tag.token * (size // 8)
        if more:
            plain["size"] = size + 16 + (40 if len(dst) == 16 else 20)
        last = headers.destination(spec) if len(dst) == 16 else spec["dst"]
        return transport(plain, tag, src, socket.inet_pton(socket.AF_INET6, last) if len(dst) == 16 else dst)[:size]
    proto = proto_number(spec)
    length = ip_length(spec) - (40 if len(dst) == 16 else 20)
    if proto == 6:
        ack = tag.ack if tag.flags & 0x10 else 0
        options = tcp_options(spec, tag)
        body = struct.pack(">HHIIBBHHH", spec["sport"], spec["dport"], tag.seq or 0, ack, 0x50 + len(options) * 4, tag.flags, 1024, 0, 0)
        body += options + bytes(length - 20 - len(options))
        value = checksum(_pseudo(src, dst, proto, length) + body)
        return body[:16] + struct.pack(">H", value) + body[18:]
    if proto == 17:
        body = struct.pack(">HHHH", spec["sport"], spec["dport"], length, 0) + tag.token + padding(length - 16)
        value = checksum(_pseudo(src, dst, proto, length) + body) or 0xFFFF
        return body[:6] + struct.pack(">H", value) + body[8:]
    if proto in (1, 58):
        kind, code = icmp_kind(spec)
        body = struct.pack(">BBHHH", kind, code, 0, spec.get("sport", 0) or 77, 1) + tag.token + padding(length - 16)
        value = checksum((_pseudo(src, dst, 58, length) if proto == 58 else b"") + body)
        return body[:2] + struct.pack(">H", value) + body[4:]
    if spec.get("known"):
        made = rare.body(proto, spec, tag.token, lambda data: checksum(_pseudo(src, dst, proto, len(data)) + data))
        if made is not None:
            return made
    ports = struct.pack(">HH", spec["sport"], spec["dport"]) if proto in PORTED else b""
    return ports + tag.token * ((length - len(ports)) // 8) + bytes((length - len(ports)) % 8)


def ip_packet(spec: PacketSpec, tag: Tag) -> bytes:
    """The whole IP packet."""
    family = socket.AF_INET6 if ":" in spec["dst"] else socket.AF_INET
    src = socket.inet_pton(family, spec["src"] or ("::" if family == socket.AF_INET6 else "0.0.0.0"))
    dst = socket.inet_pton(family, spec["dst"])
    body = transport(spec, tag, src, dst)
    number = struct.unpack(">I", tag.token[3:7])[0] & 0xFFFF or 1
    if family == socket.AF_INET6:
        following, extra = headers.linked(headers.chain(spec, number), tag.proto)
        body = extra + body
        return struct.pack(">IHBB", 6 << 28 | spec.get("tos", 0) << 20, len(body), following, spec.get("ttl", 64)) + src + dst + body
    offset, more, _ = spec.get("frag") or (0, 0, 0)
    frag = (0x4000 if spec.get("df", True) else 0) | more << 13 | offset >> 3
    options = headers.options(spec)
    head = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, spec.get("tos", 0), 20 + len(options) + len(body), number, frag,
                       spec.get("ttl", 64), tag.proto, 0)
    head += src + dst + options
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


class Sender:
    """One packet ready to go: sockets exist (and show in sock_diag) before the question is asked."""

    def __init__(self, built: Built, spec: PacketSpec, number: int) -> None:
        self.spec, self.tag, self.built = spec, make_tag(spec, number, built.begun), built
        self.invented = numbers_invented(spec, built.begun)
        self.sock: socket.socket | None = None
        self.error = ""
        """errno name the kernel answered the send with, or ""."""
        self.ifindex = 0
        """Frame: the device it is sent out of."""
        ns = built.namespaces[spec["ns"]]
        try:
            with ns.inside():
                self._open()
        except OSError as error:
            self.error = "open:" + errno.errorcode.get(error.errno or 0, str(error))
            self.close()

    def _open(self) -> None:
        spec = self.spec
        family = socket.AF_INET6 if ":" in spec["dst"] else socket.AF_INET
        proto = self.tag.proto
        if spec["how"] == "frame":
            self.ifindex = socket.if_nametoindex(spec["dev"])
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.sock.bind((spec["dev"], 0))
            return
        if spec["how"] == "raw":
            self.sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        elif proto == 6:
            self.sock = socket.socket(family, socket.SOCK_STREAM)
            self.sock.setblocking(False)
            address = (_Buffer(_REFUSE))
            self.sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("@HP", 1, address.address))
        elif proto == 17:
            self.sock = socket.socket(family, socket.SOCK_DGRAM)
        else:
            self.sock = socket.socket(family, socket.SOCK_RAW, proto)
        sock = self.sock
        sock.setblocking(False)
        if spec.get("mark"):
            sock.setsockopt(socket.SOL_SOCKET, 36, spec["mark"])
        if spec.get("dev"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, spec["dev"].encode())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, int(spec.get("broadcast", False)))
        if spec["how"] == "raw":
            return
        if family == socket.AF_INET:
            sock.setsockopt(socket.SOL_IP, socket.IP_TTL, spec.get("ttl", 64))
            if proto != 6:
                sock.setsockopt(socket.SOL_IP, socket.IP_MULTICAST_TTL, spec.get("ttl", 64))
            sock.setsockopt(socket.SOL_IP, socket.IP_TOS, spec.get("tos", 0))
            if not spec.get("df", True):
                sock.setsockopt(socket.SOL_IP, 10, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, spec.get("ttl", 64))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, spec.get("tos", 0))
        if spec.get("src") or spec.get("sport"):
            any_ = "::" if family == socket.AF_INET6 else "0.0.0.0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((spec.get("src") or any_, spec["sport"] if proto in (6, 17) else 0))

    def send(self) -> None:
        """Sends it. All that follows in softirq context on this CPU has usually happened when this returns."""
        if self.sock is None:
            return
        spec = self.spec
        try:
            if spec["how"] == "frame":
                self.sock.send(self.frame())
            elif spec["how"] == "raw":
                self.sock.sendto(ip_packet(spec, self.tag), (spec["dst"], 0))
            elif self.tag.proto == 6:
                self.sock.connect((spec["dst"], spec["dport"]))
            else:
                length = ip_length(spec) - (40 if ":" in spec["dst"] else 20)
                if self.tag.proto == 17:
                    self.sock.sendto(self.tag.token + padding(length - 16), (spec["dst"], spec["dport"]))
                else:
                    zero = bytes(16) if ":" in spec["dst"] else bytes(4)
                    self.sock.sendto(transport(spec, self.tag, zero, zero), (spec["dst"], 0))
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                self.error = errno.errorcode.get(error.errno or 0, str(error))

    def frame(self) -> bytes:
        spec = self.spec
        dmac = bytes.fromhex(spec["dmac"].replace(":", ""))
        smac = bytes.fromhex((spec.get("smac") or "02:00:5e:00:00:99").replace(":", ""))
        ethertype = 0x86DD if ":" in spec["dst"] else 0x0800
        if spec.get("vlan"):
            smac += struct.pack(">HH", 0x8100, spec["vlan"])
        return dmac + smac + struct.pack(">H", ethertype) + ip_packet(spec, self.tag)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class _Buffer:
    """Bytes at an address that stays valid while this object lives."""

    def __init__(self, data: bytes) -> None:
        import ctypes
        self._buffer = ctypes.create_string_buffer(data, len(data))
        self.address = ctypes.addressof(self._buffer)


