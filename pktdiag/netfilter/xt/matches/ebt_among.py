"""ebtables among: a list of MAC addresses, each perhaps with an IP address. net/bridge/netfilter/ebt_among.c: ebt_among_mt.

Legacy tables only; ebtables-nft makes an nftables set of it.
"""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import Arp, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang

DST_NEG, SRC_NEG = 1, 2

Pairs = tuple[tuple[bytes, bytes], ...]


class EbtAmong(NamedTuple):
    """struct ebt_among_info: (MAC, IP) pairs, IP of zeroes for any; None where the side is not asked for."""

    dst: Pairs | None
    src: Pairs | None
    bitmask: int


def _pool(data: bytes, offset: int) -> Pairs | None:
    """struct ebt_mac_wormhash: a hash table, then the pairs; the MAC stands in the last six of eight bytes."""
    if not offset:
        return None
    size = unpack_from("=i", data, offset + 257 * 4)[0]
    if not 0 <= size <= 1 << 20:
        raise ValueError("among")
    pairs = []
    for number in range(size):
        mac, address = unpack_from("=2x6s4s", data, offset + 258 * 4 + 12 * number)
        pairs.append((mac, address))
    return tuple(pairs)


def decode(rev: int, data: bytes, family: int) -> EbtAmong:
    dst_at, src_at, bitmask = unpack_from("=iii", data)
    return EbtAmong(_pool(data, dst_at), _pool(data, src_at), bitmask)


def _contains(pairs: Pairs, mac: bytes, address: bytes | None) -> bool:
    """ebt_mac_wormhash_contains: without an IP address in the frame any entry of the MAC does."""
    return any(mac == wanted and (address is None or not any(ip) or ip == address) for wanted, ip in pairs)


def evaluate(info: EbtAmong, ctx: HookContext) -> Tri:
    skb = ctx.skb
    arp = skb.arp
    src: bytes | None = None
    dst: bytes | None = None
    if isinstance(arp, Arp):
        src, dst = arp.sender, arp.target
    elif len(skb.packet.dst) == 4:
        src, dst = skb.packet.src, skb.packet.dst
    for pairs, mac, address, negated in ((info.src, skb.src_mac, src, info.bitmask & SRC_NEG),
                                         (info.dst, skb.dst_mac, dst, info.bitmask & DST_NEG)):
        if pairs is not None and _contains(pairs, mac, address) == bool(negated):
            return False
    return True


def render(info: EbtAmong, family: int) -> str:
    parts = []
    for option, pairs, negated in (("dst", info.dst, info.bitmask & DST_NEG), ("src", info.src, info.bitmask & SRC_NEG)):
        if pairs is not None:
            shown = ",".join(":".join(f"{byte:x}" for byte in mac) + (f"={format_address(ip)}" if any(ip) else "") for mac, ip in pairs)
            parts.append(f"--among-{option} {bang(negated)}{shown}")
    return " ".join(parts)
