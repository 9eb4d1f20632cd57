"""hbh: hop-by-hop options. net/ipv6/netfilter/ip6t_hbh.c: hbh_mt6 (dst shares the code)."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang
from pktdiag.netfilter.xt.matches.ext6 import absent as evaluate

__all__ = ["Opts", "decode", "evaluate", "render", "render_as"]

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
