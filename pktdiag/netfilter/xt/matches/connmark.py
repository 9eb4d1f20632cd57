"""connmark: the connection's mark. net/netfilter/xt_connmark.c: connmark_mt."""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri, attached
from pktdiag.netfilter.xt.matches.mark import Mark, decode, render

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: Mark, ctx: HookContext) -> Tri:
    """Without a connection it does not match, inverted or not."""
    ct, _ = attached(ctx.skb)
    return ct is not None and (ct.mark & info.mask == info.mark) != info.invert
