"""ebtables snat: rewrites the frame's source. net/bridge/netfilter/ebt_snat.c: ebt_snat_tg."""

from __future__ import annotations

from pktdiag.model.packet import Arp
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.targets.ebt_dnat import decode
from pktdiag.netfilter.xt.targets.ebt_verdict import name_of, result_of, verdict_of

__all__ = ["decode", "evaluate", "render"]

NO_ARP_BIT = 0x10


def evaluate(info: tuple[bytes, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | str | None:
    """With --snat-arp (the bit cleared) the sender inside an ARP frame is rewritten too."""
    mac, target = info
    ctx.skb.src_mac = mac
    if not target & NO_ARP_BIT and isinstance(ctx.skb.arp, Arp):
        ctx.skb.arp = ctx.skb.arp._replace(sender_mac=mac)
    return result_of(verdict_of(target), rule)


def render(info: tuple[bytes, int], family: int) -> str:
    mac, target = info
    return f"--to-src {mac.hex(':')}{'' if target & NO_ARP_BIT else ' --snat-arp'} --snat-target {name_of(verdict_of(target))}"
