"""Expressions that put something into a register, other than header bytes: meta, ct, fib, rt, socket, hash, numgen …"""

from __future__ import annotations

from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.exprs import ct as ct_keys
from pktdiag.netfilter.nft.render.headers import IP_OPTIONS, IPV6_EXTENSIONS, SCTP_CHUNKS, SCTP_COMMON, SCTP_FIELDS, TCP_OPTIONS, Field
from pktdiag.netfilter.nft.render.tree import Node, leaf, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pktdiag.netfilter.nft.render.native import Reader

META = {
    0: ("meta length", "integer", 32), 1: ("meta protocol", "ether_type", 16), 2: ("meta priority", "classid", 32),
    3: ("meta mark", "mark", 32), 4: ("iif", "iface_index", 32), 5: ("oif", "iface_index", 32), 6: ("iifname", "ifname", 128),
    7: ("oifname", "ifname", 128), 8: ("meta iiftype", "iface_type", 16), 9: ("meta oiftype", "iface_type", 16),
    10: ("meta skuid", "uid", 32), 11: ("meta skgid", "gid", 32), 12: ("meta nftrace", "integer", 8),
    13: ("meta rtclassid", "realm", 32), 14: ("meta secmark", "mark", 32), 15: ("meta nfproto", "nf_proto", 8),
    16: ("meta l4proto", "inet_proto", 8), 17: ("meta ibrname", "ifname", 128), 18: ("meta obrname", "ifname", 128),
    19: ("meta pkttype", "pkt_type", 8), 20: ("meta cpu", "integer", 32), 21: ("iifgroup", "devgroup", 32),
    22: ("oifgroup", "devgroup", 32), 23: ("meta cgroup", "integer", 32), 24: ("meta random", "integer", 32),
    25: ("meta ipsec", "boolean", 8), 26: ("meta iifkind", "ifname", 128), 27: ("meta oifkind", "ifname", 128),
    28: ("meta ibrpvid", "integer", 16), 29: ("meta ibrvproto", "ether_type", 16), 30: ("meta time", "date", 64),
    31: ("meta day", "day", 8), 32: ("meta hour", "hour", 32), 33: ("meta sdif", "iface_index", 32),
    34: ("meta sdifname", "ifname", 128), 35: ("meta broute", "integer", 8),
}
META_KEYS = {1: "protocol", 8: "iiftype", 15: "nfproto", 16: "l4proto"}
_BIG_META = frozenset((1, 15, 16, 24, 29))
CT = {
    0: ("state", "ct_state", 32), 1: ("direction", "ct_dir", 8), 2: ("status", "ct_status", 32), 3: ("mark", "mark", 32),
    4: ("secmark", "integer", 32), 5: ("expiration", "time", 32), 6: ("helper", "string", 128), 7: ("l3proto", "nf_proto", 8),
    8: ("saddr", "integer", 128), 9: ("daddr", "integer", 128), 10: ("protocol", "inet_proto", 8),
    11: ("proto-src", "inet_service", 16), 12: ("proto-dst", "inet_service", 16), 13: ("label", "ct_label", 128),
    14: ("packets", "integer", 64), 15: ("bytes", "integer", 64), 16: ("avgpkt", "integer", 64), 17: ("zone", "integer", 16),
    18: ("event", "ct_event", 32), 19: ("ip saddr", "ipv4_addr", 32), 20: ("ip daddr", "ipv4_addr", 32),
    21: ("ip6 saddr", "ipv6_addr", 128), 22: ("ip6 daddr", "ipv6_addr", 128), 23: ("id", "integer", 32),
}
_BIG_CT = frozenset((7, 8, 9, 10, 11, 12, 19, 20, 21, 22, 23))


def load(reader: Reader, each: Expression, at: int) -> Node | None:
    """The node an expression loads, put into its register; None where it is no load."""
    maker = _LOADS.get(each.__class__.__name__)
    if maker is None:
        return None
    node: Node = maker(reader, each, at)
    dreg = getattr(each, "dreg", None)
    if dreg is not None:
        reader.set(dreg, node)
    return node


def _meta(reader: Reader, each: Any, at: int) -> Node:
    text, dtype, bits = META.get(each.key, (f"meta [{each.key}]", "integer", 32))
    node = leaf(text, dtype, bits, at, each.key not in _BIG_META)
    node.more["key"] = META_KEYS.get(each.key)
    return node


def _ct(reader: Reader, each: Any, at: int) -> Node:
    name, dtype, bits = CT.get(each.key, (f"[{each.key}]", "integer", 32))
    direction = {0: "original ", 1: "reply "}.get(each.direction, "")
    if each.key in (ct_keys.SRC, ct_keys.DST):
        name, dtype, bits = ("saddr" if each.key == ct_keys.SRC else "daddr"), "ipv6_addr", 128
        if reader.family == 2:
            name, dtype, bits = f"ip {name}", "ipv4_addr", 32
        else:
            name = f"ip6 {name}"
    return leaf(f"ct {direction}{name}", dtype, bits, at, each.key not in _BIG_CT)


def _fib(reader: Reader, each: Any, at: int) -> Node:
    words = [word for bit, word in ((1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")) if each.flags & bit]
    result, dtype, bits = {1: ("oif", "iface_index", 32), 2: ("oifname", "ifname", 128)}.get(
        each.result, ("type", "fib_addrtype", 32))
    if each.flags & 32:
        dtype, bits = "boolean", 8
    return leaf(f"fib {' . '.join(words)} {result}", dtype, bits, at, True)


def _rt(reader: Reader, each: Any, at: int) -> Node:
    text, dtype, bits, host = {
        0: ("rt classid", "realm", 32, True), 1: ("rt ip nexthop", "ipv4_addr", 32, False),
        2: ("rt ip6 nexthop", "ipv6_addr", 128, False), 3: ("rt mtu", "integer", 16, True),
        4: ("rt ipsec", "boolean", 8, True)}.get(each.key, ("rt [unknown]", "integer", 32, True))
    return leaf(text, dtype, bits, at, host)


def _socket(reader: Reader, each: Any, at: int) -> Node:
    text, dtype, bits = {0: ("transparent", "integer", 8), 1: ("mark", "mark", 32), 2: ("wildcard", "integer", 8)}.get(
        each.key, (f"cgroupv2 level {each.level}", "cgroupsv2", 64))
    return leaf(f"socket {text}", dtype, bits, at, True)


def _hash(reader: Reader, each: Any, at: int) -> Node:
    tail = f" offset {each.offset}" if each.offset else ""
    if each.type == 1:
        return leaf(f"symhash mod {each.modulus}{tail}", "integer", 32, at, True)
    source = reader.complete(reader.get(each.sreg, each.length)) if each.sreg is not None else None
    seed = f" seed 0x{each.seed:x}" if each.seed is not None else ""
    inside = show(source, reader.resolver) if source is not None else ""
    node = leaf(f"jhash {inside} mod {each.modulus}{seed}{tail}", "integer", 32, at, True)
    node.first = source.first if source is not None else at
    return node


def _numgen(reader: Reader, each: Any, at: int) -> Node:
    tail = f" offset {each.offset}" if each.offset else ""
    return leaf(f"numgen {'random' if each.type else 'inc'} mod {each.modulus}{tail}", "integer", 32, at, True)


def _osf(reader: Reader, each: Any, at: int) -> Node:
    ttl = {1: "ttl loose ", 2: "ttl skip "}.get(each.ttl, "")
    return leaf(f"osf {ttl}{'version' if each.flags & 1 else 'name'}", "string", 128, at, True)


def _xfrm(reader: Reader, each: Any, at: int) -> Node:
    name, dtype, bits = {1: ("ip daddr", "ipv4_addr", 32), 2: ("ip6 daddr", "ipv6_addr", 128), 3: ("ip saddr", "ipv4_addr", 32),
                         4: ("ip6 saddr", "ipv6_addr", 128), 5: ("reqid", "integer", 32), 6: ("spi", "integer", 32)}.get(
                             each.key, ("[unknown]", "integer", 32))
    number = f"spnum {each.spnum} " if each.spnum else ""
    return leaf(f"ipsec {'out' if each.direction else 'in'} {number}{name}", dtype, bits, at, each.key == 5)


def _tunnel(reader: Reader, each: Any, at: int) -> Node:
    text, dtype = ("tunnel path", "boolean") if each.key == 0 else ("tunnel id", "integer")
    return leaf(text, dtype, 8 if each.key == 0 else 32, at, True)


def _exthdr(reader: Reader, each: Any, at: int) -> Node:
    found: tuple[Field, ...] = ()
    families: dict[int, tuple[dict[int, tuple[str, tuple[Field, ...]]], str]] = {
        0: (IPV6_EXTENSIONS, ""), 1: (TCP_OPTIONS, "tcp option "), 2: (IP_OPTIONS, "ip option ")}
    if each.op not in families:
        chunk = SCTP_CHUNKS.get(each.type, str(each.type))
        name, found = f"sctp chunk {chunk}", SCTP_COMMON + SCTP_FIELDS.get(chunk, ())
    else:
        table, prefix = families[each.op]
        known = table.get(each.type)
        name, found = (prefix + known[0], known[1]) if known else (f"{prefix}{each.type}", ())
    present = each.flags & 1
    node = Node("exthdr", "boolean" if present else "integer", 8 if present else each.length * 8, at, bool(present))
    node.more.update(op=each.op, offset=each.offset * 8, fields=found, prefix=name)
    if present:
        node.text = f"exthdr {name}" if each.op == 0 else name
        return node
    for field in found:
        if field.offset == each.offset * 8 and field.bits == each.length * 8:
            node.text, node.dtype = f"{name} {field.name}", field.dtype
            return node
    node.text = f"tcp option @{each.type},{each.offset * 8},{each.length * 8}" if each.op == 1 else f"{name} [{each.offset}]"
    return node


def _inner(reader: Reader, each: Any, at: int) -> Node:
    from pktdiag.netfilter.nft.exprs.payload import PayloadLoad

    inside = each.expression
    kind = {1: "vxlan", 2: "geneve"}.get(each.type, "gre")
    text = f"{kind} [inner]"
    bits = 32
    if isinstance(inside, PayloadLoad):
        text, bits = f"{kind} @{inside.base},{inside.offset * 8},{inside.length * 8}", inside.length * 8
    node = leaf(text, "xinteger", bits, at, False)
    dreg = getattr(inside, "dreg", None)
    if dreg is not None:
        reader.set(dreg, node)
    return node


_LOADS: dict[str, Any] = {
    "MetaGet": _meta, "CtGet": _ct, "Fib": _fib, "Rt": _rt, "SocketGet": _socket, "Hash": _hash, "Numgen": _numgen, "Osf": _osf,
    "Xfrm": _xfrm, "Tunnel": _tunnel, "ExthdrGet": _exthdr, "Inner": _inner,
}
