"""ebtables arpreply: answers an ARP request itself. net/bridge/netfilter/ebt_arpreply.c: ebt_arpreply_tg."""

from __future__ import annotations

from pktdiag.model.packet import Arp
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.targets.ebt_dnat import decode
from pktdiag.netfilter.xt.targets.ebt_verdict import DROP, name_of, result_of

__all__ = ["decode", "evaluate", "render"]


def evaluate(info: tuple[bytes, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | str | None:
    """Only a request is answered; the answer's MAC is left in ``skb.extra["arpreply"]`` for the ARP stage."""
    arp = ctx.skb.arp
    if not isinstance(arp, Arp) or arp.op != 1:
        return None
    ctx.skb.extra["arpreply"] = info[0]
    return result_of(info[1], rule)


def render(info: tuple[bytes, int], family: int) -> str:
    return f"--arpreply-mac {info[0].hex(':')}" + ("" if info[1] == DROP else f" --arpreply-target {name_of(info[1])}")
