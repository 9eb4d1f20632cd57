"""policy: whether IPsec handled, or will handle, the packet. net/netfilter/xt_policy.c: policy_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET6
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, mask_suffix
from pktdiag.netfilter.xt.render import protocol_name

MATCH_IN, MATCH_OUT, MATCH_NONE, MATCH_STRICT = 1, 2, 4, 8
SADDR, DADDR, PROTO, MODE, SPI, REQID = (1 << bit for bit in range(6))
ELEMENT_SIZE = 76


class Element(NamedTuple):
    """struct xt_policy_elem."""

    saddr: tuple[bytes, bytes]
    daddr: tuple[bytes, bytes]
    spi: int
    """As iptables stores it: in host order, where the kernel expects network order."""
    reqid: int
    proto: int
    mode: int
    match: int
    invert: int


class Policy(NamedTuple):
    """struct xt_policy_info."""

    flags: int
    elements: tuple[Element, ...]


def decode(rev: int, data: bytes, family: int) -> Policy:
    if rev != 0:
        raise UnknownRevisionError
    flags, length = unpack_from("=HH", data, 4 * ELEMENT_SIZE)
    if length > 4:
        raise ValueError("policy")
    size = 16 if family == AF_INET6 else 4
    elements = []
    for at in range(0, length * ELEMENT_SIZE, ELEMENT_SIZE):
        saddr, smask, daddr, dmask, spi, reqid, proto, mode, match, invert = unpack_from("=16s16s16s16sIIBBBB", data, at)
        elements.append(Element((saddr[:size], smask[:size]), (daddr[:size], dmask[:size]), spi, reqid, proto, mode, match, invert))
    return Policy(flags, tuple(elements))


def evaluate(info: Policy, ctx: HookContext) -> Tri:
    """A packet without security path (in) or transformation (out) matches ``none`` only; ``skb.extra["xfrm"]`` marks one with."""
    if ctx.skb.extra.get("xfrm"):
        return Unknown("the IPsec transformation applied to the packet is the one the policy match asks for")
    return bool(info.flags & MATCH_NONE)


def _element(info: Element) -> list[str]:
    parts = []
    for flag, text in ((REQID, f"--reqid {info.reqid}"), (SPI, f"--spi {info.spi:#x}"),
                       (PROTO, f"--proto {protocol_name(info.proto)}"), (MODE, f"--mode {'tunnel' if info.mode else 'transport'}"),
                       (DADDR, f"--tunnel-dst {format_address(info.daddr[0])}{mask_suffix(info.daddr[1])}"),
                       (SADDR, f"--tunnel-src {format_address(info.saddr[0])}{mask_suffix(info.saddr[1])}")):
        if info.match & flag:
            parts.append(bang(info.invert & flag) + text)
    return parts


def render(info: Policy, family: int) -> str:
    parts = [f"--dir {'in' if info.flags & MATCH_IN else 'out'}", f"--pol {'none' if info.flags & MATCH_NONE else 'ipsec'}"]
    if info.flags & MATCH_STRICT:
        parts.append("--strict")
    for number, element in enumerate(info.elements):
        if number:
            parts.append("--next")
        parts += _element(element)
    return " ".join(parts)
