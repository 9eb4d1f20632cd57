"""ebtables ip6: as ip, for IPv6. net/bridge/netfilter/ebt_ip6.c: ebt_ip6_mt."""

from __future__ import annotations

from pktdiag.netfilter.xt.matches.ebt_ip import EbtIp, decode_as, evaluate, render_as

__all__ = ["decode", "evaluate", "render"]


def decode(rev: int, data: bytes, family: int) -> EbtIp:
    return decode_as(data, 16)


def render(info: EbtIp, family: int) -> str:
    return render_as(info, "ip6", "tclass", "icmp-type")
