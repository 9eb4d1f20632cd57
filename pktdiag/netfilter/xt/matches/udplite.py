"""udplite: the kernel registers udp's own function under this name too (net/netfilter/xt_tcpudp.c)."""

from __future__ import annotations

from pktdiag.netfilter.xt.matches.udp import decode, evaluate, render

__all__ = ["decode", "evaluate", "render"]
