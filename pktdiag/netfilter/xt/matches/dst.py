"""dst: destination options. net/ipv6/netfilter/ip6t_hbh.c (alias ip6t_dst): hbh_mt6."""

from __future__ import annotations

from pktdiag.netfilter.xt.matches.hbh import Opts, decode, evaluate, render_as

__all__ = ["decode", "evaluate", "render"]


def render(info: Opts, family: int) -> str:
    return render_as(info, "dst")
