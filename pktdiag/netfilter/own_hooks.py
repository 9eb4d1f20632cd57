"""Hook functions that are neither rules nor connection tracking: defragmentation, and strangers."""

from __future__ import annotations

from pktdiag.model.kernel import NF_INET_INGRESS, NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pktdiag.netfilter.nft.tables import BaseChain


def defragment(ctx: HookContext) -> HookResult:
    """ipv4_conntrack_defrag() (net/ipv4/netfilter/nf_defrag_ipv4.c), ipv6_defrag(): a fragment waits for the others; rules
    behind see the whole datagram."""
    skb = ctx.skb
    packet = skb.packet
    if (not packet.fragment_offset and not packet.more_fragments) or skb.ct is not None:
        return ACCEPT
    if not ctx.services.decide(Unknown("the other fragments of the datagram arrive, too"), ("defrag", ctx.ns.id)):
        return HookResult("stolen", "FRAG_REASM_TIMEOUT", None,
                          "the fragment waits for the others of its datagram, which never come", None, "fragments-missing")
    skb.packet = packet._replace(fragment_offset=0, more_fragments=False, unknown=packet.unknown | {"length"})
    return ACCEPT


def bridged(ctx: HookContext, run: Callable[[HookContext], HookResult]) -> HookResult:
    """nf_ct_bridge_pre() / nf_ct_bridge_post() (net/bridge/netfilter/nf_conntrack_bridge.c): IP frames are tracked as at the
    IP hooks."""
    if ctx.skb.ethertype not in (0x0800, 0x86DD) or ctx.skb.arp is not None:
        return ACCEPT
    return run(ctx._replace(pf=NFPROTO_IPV4 if ctx.skb.ethertype == 0x0800 else NFPROTO_IPV6))


def ingress_as_inet(ctx: HookContext, chain: BaseChain) -> HookResult:
    """nft_do_chain_inet_ingress() (net/netfilter/nft_chain_filter.c): IPv4 and IPv6 only, with the inet ingress hook."""
    from pktdiag.netfilter.nft.evaluate import run_base_chain

    if ctx.skb.ethertype not in (0x0800, 0x86DD):
        return ACCEPT
    pf = NFPROTO_IPV4 if ctx.skb.ethertype == 0x0800 else NFPROTO_IPV6
    return run_base_chain(ctx._replace(pf=pf, hook=NF_INET_INGRESS), chain)


def unknown_function(ctx: HookContext, function: str, module: str) -> HookResult:
    """A registered hook function that is not modelled: a BPF link, IPVS, an out-of-tree module."""
    where = f"{function} of {module}" if module else function
    if ctx.services.decide(Unknown(f"the hook function {where} lets the packet pass unchanged"), ("hook", ctx.ns.id, function)):
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", None, f"the hook function {where} does not let it pass", None, "unknown-hook")
