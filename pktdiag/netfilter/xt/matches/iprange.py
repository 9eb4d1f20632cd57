"""iprange: addresses from one to another. net/netfilter/xt_iprange.c: iprange_mt4, iprange_mt6."""

from __future__ import annotations

from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, inet

SRC, DST, SRC_INV, DST_INV = 0x01, 0x02, 0x10, 0x20


class IpRange(NamedTuple):
    """struct xt_iprange_mtinfo."""

    src: tuple[bytes, bytes]
    dst: tuple[bytes, bytes]
    flags: int


def decode(rev: int, data: bytes, family: int) -> IpRange:
    if rev != 1:
        raise UnknownRevisionError
    low, high, dlow, dhigh = (inet(data, 16 * i, family) for i in range(4))
    return IpRange((low, high), (dlow, dhigh), data[64])


def evaluate(info: IpRange, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if info.flags & SRC and (info.src[0] <= packet.src <= info.src[1]) == bool(info.flags & SRC_INV):
        return False
    return not (info.flags & DST and (info.dst[0] <= packet.dst <= info.dst[1]) == bool(info.flags & DST_INV))


def render(info: IpRange, family: int) -> str:
    parts = []
    for flag, invert, option, (low, high) in ((SRC, SRC_INV, "--src-range", info.src), (DST, DST_INV, "--dst-range", info.dst)):
        if info.flags & flag:
            parts.append(f"{bang(info.flags & invert)}{option} {format_address(low)}-{format_address(high)}")
    return " ".join(parts)
