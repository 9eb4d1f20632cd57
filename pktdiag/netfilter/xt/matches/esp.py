"""esp: the SPI of an ESP header. net/netfilter/xt_esp.c: esp_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, port_range


class Spi(NamedTuple):
    """struct xt_esp."""

    low: int
    high: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Spi:
    if rev != 0:
        raise UnknownRevisionError
    low, high, inv = unpack_from("=IIB", data)
    return Spi(low, high, bool(inv & 1))


def evaluate(info: Spi, ctx: HookContext) -> Tri:
    packet = ctx.skb.packet
    if packet.fragment_offset:
        return False
    if (info.low, info.high) == (0, 0xFFFFFFFF):
        return not info.invert
    if len(packet.payload) >= 8 and "payload" not in packet.unknown:
        return (info.low <= int.from_bytes(packet.payload[:4], "big") <= info.high) != info.invert
    return Unknown(f"the packet's ESP SPI {'lies outside' if info.invert else 'lies in'} {port_range(info.low, info.high)}")


def render(info: Spi, family: int) -> str:
    given = (info.low, info.high) != (0, 0xFFFFFFFF)
    return f"{bang(info.invert)}--espspi {port_range(info.low, info.high)}" if given else ""
