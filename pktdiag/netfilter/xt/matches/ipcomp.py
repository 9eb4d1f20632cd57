"""ipcomp: the SPI of an IPComp header. net/netfilter/xt_ipcomp.c: comp_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range


class Spi(NamedTuple):
    """struct xt_ipcomp."""

    low: int
    high: int
    invert: bool
    reserved: bool


def decode(rev: int, data: bytes, family: int) -> Spi:
    if rev != 0:
        raise UnknownRevisionError
    low, high, inv, res = unpack_from("=IIBB", data)
    return Spi(low, high, bool(inv & 1), bool(res))


def evaluate(info: Spi, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    if (info.low, info.high) == (0, 0xFFFFFFFF):
        return not info.invert
    if len(packet.payload) >= 4 and "payload" not in packet.unknown:  # its CPI is what the rule calls SPI
        return (info.low <= int.from_bytes(packet.payload[2:4], "big") <= info.high) != info.invert
    return Unknown(f"the packet's IPComp SPI {'lies outside' if info.invert else 'lies in'} {port_range(info.low, info.high)}")


def render(info: Spi, family: int) -> str:
    given = (info.low, info.high) != (0, 0xFFFFFFFF)
    spi = [f"{bang(info.invert)}--ipcompspi {port_range(info.low, info.high)}"] if given else []
    return " ".join(spi + (["--compres"] if info.reserved else []))
