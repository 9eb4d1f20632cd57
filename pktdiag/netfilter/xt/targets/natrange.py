"""The address and port range that every NAT target holds, in its three shapes, and how the tools write it.

include/uapi/linux/netfilter/nf_nat.h: nf_nat_ipv4_multi_range_compat, nf_nat_range, nf_nat_range2.
"""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import format_address
from pktdiag.netfilter.context import NatRange
from pktdiag.netfilter.xt.base import be16, inet

MAP_IPS, PROTO_SPECIFIED, RANDOM, PERSISTENT, RANDOM_FULLY, PROTO_OFFSET, NETMAP = (1 << bit for bit in range(7))


def compat_range(data: bytes) -> NatRange:
    """nf_nat_ipv4_multi_range_compat with its one range."""
    _size, flags, low, high = unpack_from("=II4s4s", data)
    return NatRange(flags, low, high, be16(data, 16), be16(data, 18))


def inet_range(data: bytes, family: int, base: bool) -> NatRange:
    """nf_nat_range, or nf_nat_range2 with ``base``."""
    flags = unpack_from("=I", data)[0]
    return NatRange(flags, inet(data, 4, family), inet(data, 20, family), be16(data, 36), be16(data, 38),
                    be16(data, 40) if base else 0)


def without_unset(range_: NatRange) -> NatRange:
    """Addresses only where NF_NAT_RANGE_MAP_IPS says they count, ports likewise."""
    if not range_.flags & MAP_IPS:
        range_ = range_._replace(min_addr=None, max_addr=None)
    if not range_.flags & PROTO_SPECIFIED:
        range_ = range_._replace(min_proto=0, max_proto=0, base_proto=0)
    return range_


def port_text(range_: NatRange) -> str:
    text = f"{range_.min_proto}" if range_.min_proto == range_.max_proto else f"{range_.min_proto}-{range_.max_proto}"
    return f"{text}/{range_.base_proto}" if range_.flags & PROTO_OFFSET else text


def range_text(range_: NatRange) -> str:
    """``192.0.2.1-192.0.2.9:80-90/8000``; IPv6 in brackets when a port follows."""
    text = ""
    if range_.flags & MAP_IPS and range_.min_addr is not None and range_.max_addr is not None:
        text = format_address(range_.min_addr)
        if range_.max_addr != range_.min_addr:
            text += f"-{format_address(range_.max_addr)}"
        if len(range_.min_addr) == 16 and range_.flags & PROTO_SPECIFIED:
            text = f"[{text}]"
    if range_.flags & PROTO_SPECIFIED:
        text += f":{port_text(range_)}"
    return text


def flag_words(range_: NatRange) -> list[str]:
    words = ((RANDOM, "--random"), (RANDOM_FULLY, "--random-fully"), (PERSISTENT, "--persistent"))
    return [word for bit, word in words if range_.flags & bit]
