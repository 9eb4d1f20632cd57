"""helper: the conntrack helper that expected this connection. net/netfilter/xt_helper.c: helper_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, quoted, text


class Helper(NamedTuple):
    """struct xt_helper_info; an empty name means any helper."""

    name: str
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Helper:
    if rev != 0:
        raise UnknownRevisionError
    invert, name = unpack_from("=i30s", data)
    return Helper(text(name), bool(invert))


def evaluate(info: Helper, ctx: HookContext) -> Tri:
    """Only a related connection has a master; the kernel compares as many characters as the helper's own name has."""
    ct = ctx.skb.ct
    if ct is None or ct.master is None or not ct.master.helper:
        return info.invert
    return (not info.name or info.name.startswith(ct.master.helper)) != info.invert


def render(info: Helper, family: int) -> str:
    return f"{bang(info.invert)}--helper {quoted(info.name)}"
