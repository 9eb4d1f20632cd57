"""ipset: whether a packet is in a set, asked of the kernel for just that one element.

The element is built as the set type's ``kadt`` function builds it from a packet (net/netfilter/ipset/ip_set_hash_*.c,
ip_set_bitmap_*.c, ip_set_list_set.c) and put to IPSET_CMD_TEST, whose ``uadt`` looks it up the same way: a plain address
against networks of every size in use. ip_set_core.c: ip_set_test.
"""

from __future__ import annotations

from struct import pack, unpack_from

from pktdiag.model.kernel import (
    AF_INET,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_NONE,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
)
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import text, xor

INV_MATCH, RETURN_NOMATCH = 0x01, 0x80
INVALID_ID = 65535
ATTR_SETNAME, ATTR_TYPENAME, ATTR_FAMILY, ATTR_DATA, ATTR_ADT = 2, 3, 5, 7, 8
IP, IP_TO, CIDR, PORT, PORT_TO, PROTO, CADT_FLAGS, MARK = 1, 2, 3, 4, 5, 7, 8, 10
MARKMASK, ETHER, NAME, IP2, CIDR2, IFACE, BYTES, PACKETS = 11, 17, 18, 20, 21, 23, 24, 25
SKBMARK, SKBPRIO, SKBQUEUE = 27, 28, 29
FLAG_NOMATCH = 4
NESTED, NET_ORDER = 0x8000, 0x4000
_PORT_PROTOS = (IPPROTO_TCP, IPPROTO_SCTP, IPPROTO_UDP, IPPROTO_UDPLITE)


class SetUse(NamedTuple):
    """struct xt_set_info: one set and how the packet's parts are taken for it."""

    number: int
    """The kernel's index of the set."""
    dim: int
    flags: int
    """1 inverted; 1 << n: the nth part is the source's."""

    def directions(self) -> str:
        return ",".join("src" if self.flags >> number & 1 else "dst" for number in range(1, self.dim + 1))


class SetHeader(NamedTuple):
    """What a set is."""

    name: str
    type: str
    family: int
    """AF_INET, AF_INET6, or 0 where both go."""
    data: dict[int, bytes]


def attributes(data: bytes) -> dict[int, bytes]:
    """Netlink attributes by type, flags stripped; the last of a kind wins. Raises ValueError."""
    found: dict[int, bytes] = {}
    for kind, value in attribute_list(data):
        found[kind] = value
    return found


def attribute_list(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 4 <= len(data):
        length, kind = unpack_from("=HH", data, at)
        if length < 4 or at + length > len(data):
            raise ValueError("a truncated attribute")
        found.append((kind & 0x3FFF, data[at + 4:at + length]))
        at += length + 3 & ~3
    return found


def set_header(ns: NamespaceView, name_or_index: str | int) -> SetHeader | None:
    """None: no such set. Raises Unreadable, ValueError."""
    payload = ns.ipset_header(name_or_index)
    if payload is None:
        return None
    fields = attributes(payload[4:])
    return SetHeader(text(fields.get(ATTR_SETNAME, b"")), text(fields.get(ATTR_TYPENAME, b"")), fields.get(ATTR_FAMILY, b"\0")[0],
                     attributes(fields.get(ATTR_DATA, b"")))


def set_name(ns: NamespaceView | None, index: int) -> str:
    """For showing a rule: the set's name, or its number where it cannot be read."""
    if ns is not None:
        try:
            header = set_header(ns, index)
            if header is not None:
                return header.name
        except (Unreadable, ValueError, IndexError):
            pass
    return f"#{index}"


def _attribute(kind: int, value: bytes) -> bytes:
    return pack("=HH", len(value) + 4, kind) + value + b"\0" * (-len(value) & 3)


def _address(kind: int, address: bytes) -> bytes:
    inner = _attribute((1 if len(address) == 4 else 2) | NET_ORDER, address)
    return _attribute(kind | NESTED, inner)


class Element(NamedTuple):
    """The parts a set type takes from a packet."""

    request: bytes
    """Content of IPSET_ATTR_DATA."""
    parts: tuple[tuple[str, object], ...]


def element_of(header: SetHeader, use: SetUse, ctx: HookContext) -> Element | Unknown | None:
    """The packet as an element of the set; None where it cannot be one (the kernel then answers "not in the set")."""
    kinds = header.type.partition(":")[2].split(",")
    if use.dim < len(kinds):
        return None
    packet = ctx.skb.packet
    request, addresses = b"", 0
    parts: list[tuple[str, object]] = []
    for number, kind in enumerate(kinds, 1):
        source = bool(use.flags >> number & 1)
        if kind in ("ip", "net"):
            address = packet.src if source else packet.dst
            if header.family and header.family != packet.family:
                return None
            if kind == "ip" and header.type.startswith("hash:") and not any(address) and len(kinds) == 1:
                return None
            request += _address(IP2 if addresses else IP, address)
            parts.append((kind, address))
            addresses += 1
        elif kind == "port":
            found = _port(packet.proto, packet, source, header.type)
            if found is None:
                return None
            request += _attribute(PORT | NET_ORDER, found.to_bytes(2, "big"))
            if header.type != "bitmap:port":
                request += _attribute(PROTO, bytes((packet.proto,)))
            parts.append((kind, (packet.proto, found)))
        elif kind == "mac":
            mac = ctx.skb.src_mac if source else ctx.skb.dst_mac
            if len(mac) != 6 or not any(mac):
                return None
            request += _attribute(ETHER, mac)
            parts.append((kind, mac))
        elif kind == "mark":
            request += _attribute(MARK | NET_ORDER, ctx.skb.mark.to_bytes(4, "big"))
            parts.append((kind, ctx.skb.mark))
        elif kind == "iface":
            device = ctx.indev if source else ctx.outdev
            if device is None:
                return None
            request += _attribute(IFACE, device.name.encode("utf-8", "surrogateescape") + b"\0")
            parts.append((kind, device.name))
        else:
            return Unknown(f"the packet is in the set {header.name}, whose type {header.type} is not modelled")
    return Element(request, tuple(parts))


def _port(proto: int, packet: object, source: bool, type_: str) -> int | None:
    """ip_set_get_ip4_port, ip_set_get_ip6_port, ip_set_get_ip_port (net/netfilter/ipset/ip_set_getport.c)."""
    from pktdiag.model.packet import Packet

    assert isinstance(packet, Packet)
    if packet.fragment_offset or (proto == IPPROTO_NONE and packet.family != AF_INET):
        return None
    if type_ == "bitmap:port" and proto not in (IPPROTO_TCP, IPPROTO_UDP):
        return None
    if proto in _PORT_PROTOS:
        return packet.sport if source else packet.dport
    if proto in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        return packet.icmp_type << 8 | packet.icmp_code
    return 0


def memory(ctx: HookContext) -> dict[tuple[str, bytes], bool]:
    """What SET targets did to sets in this replay: (set, element) -> in it."""
    held: dict[tuple[str, bytes], bool] = ctx.services.conns.setdefault(("ipset", ctx.ns.id), {})  # type: ignore[assignment]
    return held


def in_set(ctx: HookContext, use: SetUse, *, nomatch: bool = False) -> Tri:
    """ip_set_test(), before the rule's own inversion. ``nomatch``: --return-nomatch, true for elements flagged so only."""
    try:
        header = set_header(ctx.ns, use.number)
        if header is None:
            return Unknown(f"the packet is in ipset number {use.number}, which is not there (any more)")
        return _in(ctx, header, use, nomatch)
    except (ValueError, IndexError):
        return Unknown(f"the packet is in ipset number {use.number}, whose description could not be decoded")
    except Unreadable as error:
        return Unknown(f"the packet is in ipset number {use.number}, which could not be read ({error.gap.why})")


def _in(ctx: HookContext, header: SetHeader, use: SetUse, nomatch: bool) -> Tri:
    if header.type == "list:set":
        return _in_list(ctx, header, use, nomatch)
    element = element_of(header, use, ctx)
    if element is None:
        return False
    if isinstance(element, Unknown):
        return element
    if header.type.startswith("bitmap:") and not _in_range(header, element):
        return False
    known = memory(ctx).get((header.name, element.request))
    if known is not None and not nomatch:
        return known
    plain = ctx.ns.ipset_test(header.name, element.request)
    if not nomatch:
        return plain
    flag = _attribute(CADT_FLAGS | NET_ORDER, FLAG_NOMATCH.to_bytes(4, "big"))
    return not plain and ctx.ns.ipset_test(header.name, element.request + flag)


def _in_list(ctx: HookContext, header: SetHeader, use: SetUse, nomatch: bool) -> Tri:
    """list_set_ktest: the members in order, the first that holds the packet decides."""
    unsure: Unknown | None = None
    for payload in ctx.ns.ipset_members(header.name):
        adt = attributes(payload[4:]).get(ATTR_ADT, b"")
        for _, data in attribute_list(adt):
            name = text(attributes(data).get(NAME, b""))
            inner = set_header(ctx.ns, name) if name else None
            if inner is None or inner.type == "list:set":
                continue
            answer = _in(ctx, inner, use, nomatch)
            if answer is True:
                return True
            if isinstance(answer, Unknown):
                unsure = answer
    return unsure if unsure is not None else False


def _in_range(header: SetHeader, element: Element) -> bool:
    """Outside its range a bitmap answers an error, which the packet path takes as "not in the set"."""
    kind, value = element.parts[0]
    if kind == "port":
        assert isinstance(value, tuple)
        return bool(int.from_bytes(header.data[PORT], "big") <= value[1] <= int.from_bytes(header.data[PORT_TO], "big"))
    assert isinstance(value, bytes)
    low, high = (attributes(header.data[which]).get(1, b"") for which in (IP, IP_TO))
    return bool(low <= value <= high)


def set_matches(ctx: HookContext, use: SetUse, *, nomatch: bool = False, counters: str = "") -> Tri:
    """match_set() of net/netfilter/xt_set.c. ``counters``: conditions on the element's counters, in words."""
    answer = in_set(ctx, use, nomatch=nomatch)
    if answer is True and counters:
        answer = Unknown(f"the element's counters in {set_name(ctx.ns, use.number)} satisfy {counters}")
    return xor(answer, use.flags & INV_MATCH)
