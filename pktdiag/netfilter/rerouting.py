"""Chains of type ``route`` and the legacy mangle table at OUTPUT: a change to what routing looked at is routed again at once.

Sources: net/netfilter/nft_chain_route.c (nf_route_table_hook4, nf_route_table_hook6), net/ipv4/netfilter/iptable_mangle.c
(ipt_mangle_out), net/ipv6/netfilter/ip6table_mangle.c (ip6t_mangle_out). Other chains may set a mark there without effect.
"""

from __future__ import annotations

from pktdiag.model.kernel import NF_INET_LOCAL_OUT
from pktdiag.netfilter.context import HookContext, HookResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Runner = Callable[[HookContext], HookResult]


def rerouting(run: Runner) -> Runner:
    """The same function, followed by ip_route_me_harder() where it changed mark, addresses, TOS (IPv6: or hop limit)."""

    def run_and_route(ctx: HookContext) -> HookResult:
        if ctx.hook != NF_INET_LOCAL_OUT:
            return run(ctx)
        before = _looked_at(ctx)
        result = run(ctx)
        if result.action != "accept" or _looked_at(ctx) == before:
            return result
        lost = ctx.services.reroute(ctx)
        if lost is not None:
            return HookResult("drop", "NETFILTER_DROP", result.rule, f"After the change in OUTPUT there is no way: {lost}", None,
                              "no-route")
        return result

    return run_and_route


def _looked_at(ctx: HookContext) -> tuple[object, ...]:
    packet = ctx.skb.packet
    return ctx.skb.mark, packet.src, packet.dst, packet.tos, packet.ttl if len(packet.dst) == 16 else 0
