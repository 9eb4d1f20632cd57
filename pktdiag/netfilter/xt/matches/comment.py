"""comment: always matches. net/netfilter/xt_comment.c"""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text


def decode(rev: int, data: bytes, family: int) -> str:
    if rev != 0:
        raise UnknownRevisionError
    return text(data[:256])


def evaluate(info: str, ctx: HookContext) -> Tri:
    return True


def render(info: str, family: int) -> str:
    return f"--comment {quoted(info)}"
