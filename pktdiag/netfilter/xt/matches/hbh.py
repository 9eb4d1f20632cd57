"""hbh: hop-by-hop options. net/ipv6/netfilter/ip6t_hbh.c: hbh_mt6 (dst shares the code)."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import IPPROTO_HOPOPTS
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang
from pktdiag.netfilter.xt.matches.ext6 import found

__all__ = ["Opts", "decode", "evaluate", "evaluate_in", "render", "render_as"]

LEN, OPTS, NSTRICT = 1, 2, 4


class Opts(NamedTuple):
    """struct ip6t_opts; an option is type << 8 | length, length 0xFF for any."""

    length: int
    flags: int
    invflags: int
    options: tuple[int, ...]


def decode(rev: int, data: bytes, family: int) -> Opts:
    if rev != 0:
        raise UnknownRevisionError
    length, flags, invflags, *options, count = unpack_from("=IBB16HB", data)
    if count > 16:
        raise ValueError("options")
    return Opts(length, flags, invflags, tuple(options[:count]))


def evaluate(info: Opts, ctx: HookContext) -> Tri:
    return evaluate_in(info, found(ctx.skb.packet, IPPROTO_HOPOPTS))


def evaluate_in(info: Opts, header: bytes | None) -> bool:
    """The length in bytes, then the options one by one in their order: as many as the rule names, whatever follows them."""
    if header is None:
        return False
    matched = not info.flags & LEN or (info.length == len(header)) != bool(info.invflags & 1)
    if not info.flags & OPTS:
        return matched
    at = 2
    for number, option in enumerate(info.options):
        if at >= len(header) or header[at] != option >> 8:
            return False
        size = 1
        if header[at]:
            if at + 1 >= len(header) or option & 0xFF not in (0xFF, header[at + 1]):
                return False
            size = header[at + 1] + 2
        if len(header) - at < size and number < len(info.options) - 1:
            return False
        at += size
    return matched


def render_as(info: Opts, name: str) -> str:
    parts = []
    if info.flags & LEN:
        parts.append(f"{bang(info.invflags & 1)}--{name}-len {info.length}")
    if info.flags & OPTS:
        shown = [f"{option >> 8}" if option & 0xFF == 0xFF else f"{option >> 8}:{option & 0xFF}" for option in info.options]
        parts.append(f"--{name}-opts {','.join(shown)}")
    if info.flags & NSTRICT:
        parts.append(f"--{name}-not-strict")
    return " ".join(parts)


def render(info: Opts, family: int) -> str:
    return render_as(info, "hbh")
