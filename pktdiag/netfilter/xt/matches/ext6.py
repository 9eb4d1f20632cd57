"""Common ground of the matches on IPv6 extension headers.

A packet of the walk has none (``model.packet.Packet`` holds no extension header), so each of them finds nothing, which is
"no match" even when inverted: ipv6_find_hdr returns -ENOENT (net/ipv6/netfilter/ip6t_rt.c: rt_mt6 and its likes).
"""

from __future__ import annotations

from pktdiag.netfilter.context import HookContext, Tri


def absent(info: object, ctx: HookContext) -> Tri:
    return False
