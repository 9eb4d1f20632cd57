"""DNPT: stateless IPv6 prefix translation of the destination. net/ipv6/netfilter/ip6t_NPT.c: ip6t_dnpt_tg."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.targets.snpt import Npt, decode, render, translate, with_quoted

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: Npt, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    new = translate(info, ctx.skb.packet.dst)
    if new is None:
        return HookResult("drop", "NETFILTER_DROP", rule, "DNPT cannot translate this destination", "icmpv6 parameter problem", "npt")
    ctx.skb.overwrite(with_quoted(info, ctx.skb.packet._replace(dst=new), source=True))
    return None
