"""HL: sets, raises or lowers the hop limit. net/netfilter/xt_HL.c: hl_tg6, as ttl_tg() of IPv4."""

from __future__ import annotations

from pktdiag.netfilter.xt.targets.ttl import decode, evaluate, shown

__all__ = ["decode", "evaluate", "render"]


def render(info: tuple[int, int], family: int) -> str:
    return shown(info, "hl")
