"""nfacct: counts into a named object; with a quota, matches once it is used up. net/netfilter/xt_nfacct.c: nfacct_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text


def decode(rev: int, data: bytes, family: int) -> str:
    """The object's name."""
    if rev > 1:
        raise UnknownRevisionError
    return text(unpack_from("32s", data)[0])


def evaluate(info: str, ctx: HookContext) -> Tri:
    return Unknown(f"the accounting object {info} has no quota, or one that is used up")


def render(info: str, family: int) -> str:
    return f"--nfacct-name {quoted(info)}"
