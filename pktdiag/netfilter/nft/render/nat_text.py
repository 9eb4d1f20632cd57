"""NAT and tproxy statements: where to, in the order address, port, flags (nftables src/statement.c: nat_stmt_print)."""

from __future__ import annotations

from pktdiag.netfilter.nft.exprs.nat_range import NETMAP, PERSISTENT, PROTO_RANDOM, RANDOM_FULLY
from pktdiag.netfilter.nft.render.tree import constant, prefix_length, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pktdiag.netfilter.nft.render.native import Reader


def nat(reader: Reader, each: Any, at: int) -> None:
    name = each.__class__.__name__
    addr_min = getattr(each, "addr_min", None)
    addr_max = getattr(each, "addr_max", None)
    if name == "Nat":
        verb = "dnat" if each.type else "snat"
    else:
        verb = "masquerade" if name == "Masq" else "redirect"
    first, text, family = at, verb, ""
    address = port = ""
    concat = False
    if addr_min is not None:
        size, dtype = (16, "ipv6_addr") if each.family == 10 else (4, "ipv4_addr")
        node = reader.get(addr_min)
        first = min(first, node.first)
        brackets = each.family == 10 and each.proto_min is not None
        address = _range(reader, addr_min, addr_max, dtype, size, brackets, bool(each.flags & NETMAP))
        concat = node.kind == "map" and node.bits > size * 8
        if reader.family in (1, 5, 7) or concat:
            family = " ip6" if each.family == 10 else " ip"
    if getattr(each, "proto_min", None) is not None and not concat:
        node = reader.get(each.proto_min)
        first = min(first, node.first)
        if node.kind == "payload":
            reader.protocols.reset()
        port = _range(reader, each.proto_min, each.proto_max, "inet_service", 2, False)
    if address or port:
        text += f"{family}{' prefix' if each.flags & NETMAP else ''} to {address}{f':{port}' if port else ''}"
    flags = ",".join(word for bit, word in ((PROTO_RANDOM, "random"), (RANDOM_FULLY, "fully-random"), (PERSISTENT, "persistent"))
                     if each.flags & bit)
    reader.add(f"{text} {flags}" if flags else text, at, first)


def _range(reader: Reader, low: int, high: int | None, dtype: str, size: int, brackets: bool, prefix: bool = False) -> str:
    one = reader.get(low)
    two = reader.get(high) if high is not None else one
    texts = []
    for node in (one, two):
        if node.kind == "value":
            text = constant(dtype, node.more["data"][:size], False, size * 8)
            texts.append(f"[{text}]" if brackets else text)
        else:
            texts.append(show(reader.complete(node), reader.resolver))
    if one.kind != "value" or texts[0] == texts[1]:
        return texts[0]
    if prefix:
        first, last = (int.from_bytes(node.more["data"][:size], "big") for node in (one, two))
        length = prefix_length((1 << size * 8) - 1 ^ first ^ last, size * 8)
        return texts[0] if length is None else f"{texts[0]}/{length}"
    return "-".join(texts)


def tproxy(reader: Reader, each: Any, at: int) -> None:
    """tproxy_stmt_print."""
    first, target = at, ""
    size, dtype = (16, "ipv6_addr") if each.family == 10 else (4, "ipv4_addr")
    if each.addr is not None:
        first = min(first, reader.get(each.addr).first)
        text = _range(reader, each.addr, None, dtype, size, each.family == 10)
        target += text
    if each.port is not None:
        first = min(first, reader.get(each.port).first)
        target += ":" + _range(reader, each.port, None, "inet_service", 2, False)
    family = {2: " ip", 10: " ip6"}.get(each.family, "") if reader.family == 1 else ""
    reader.add(f"tproxy{family} to {target}", at, first)
