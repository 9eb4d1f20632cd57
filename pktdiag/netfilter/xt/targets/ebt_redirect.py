"""ebtables redirect: sends the frame to this host. net/bridge/netfilter/ebt_redirect.c: ebt_redirect_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import NF_BR_BROUTING, PACKET_HOST
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.targets.ebt_verdict import ACCEPT_, name_of, result_of


def decode(rev: int, data: bytes, family: int) -> int:
    verdict: int = unpack_from("=i", data)[0]
    return verdict


def evaluate(info: int, ctx: HookContext, rule: RuleRef | None) -> HookResult | str | None:
    """The bridge's own address; in brouting the port's."""
    device = ctx.indev
    if device is not None:
        if ctx.hook != NF_BR_BROUTING and device.master is not None:
            device = ctx.ns.link(device.master) or device
        ctx.skb.dst_mac = device.mac
    ctx.skb.pkt_type = PACKET_HOST
    return result_of(info, rule)


def render(info: int, family: int) -> str:
    return "" if info == ACCEPT_ else f"--redirect-target {name_of(info)}"
