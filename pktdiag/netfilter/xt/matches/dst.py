"""dst: destination options. net/ipv6/netfilter/ip6t_hbh.c (alias ip6t_dst): hbh_mt6."""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_DSTOPTS
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.matches.ext6 import found
from pktdiag.netfilter.xt.matches.hbh import Opts, decode, evaluate_in, render_as

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: Opts, ctx: HookContext) -> Tri:
    return evaluate_in(info, found(ctx.skb.packet, IPPROTO_DSTOPTS))


def render(info: Opts, family: int) -> str:
    return render_as(info, "dst")
