"""hl: the hop limit. net/netfilter/xt_hl.c: hl_mt6, as ttl_mt() of IPv4."""

from __future__ import annotations

from pktdiag.netfilter.xt.matches.ttl import Ttl, decode, evaluate, shown

__all__ = ["decode", "evaluate", "render"]


def render(info: Ttl, family: int) -> str:
    return shown(info, "hl")
