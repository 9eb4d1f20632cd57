"""Hook functions that are neither rules nor connection tracking: defragmentation, and strangers."""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_FRAGMENT, NF_INET_INGRESS, NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import ACCEPT, CtState, HookContext, HookResult, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.netfilter.nft.tables import BaseChain


OTHERS_ARRIVE = "the other fragments of the datagram arrive, too"
WAITS = "the fragment waits for the others of its datagram, which never come"
FIRST_DECIDES = "what the first fragment of its datagram holds: together they are one packet (ask about that one)"


def defragment(ctx: HookContext) -> HookResult:
    """ipv4_conntrack_defrag() (net/ipv4/netfilter/nf_defrag_ipv4.c), ipv6_defrag(): a fragment waits for the others; rules
    behind see the whole datagram. IPv6 looks for the fragment header behind other extension headers, takes off one that stands
    before the whole packet, too, and leaves alone a fragment that is not a multiple of eight (nf_ct_frag6_gather)."""
    skb = ctx.skb
    packet = skb.packet
    if skb.ct is not None or skb.ct_state == CtState.UNTRACKED:
        return ACCEPT
    if not packet.fragment_offset and not packet.more_fragments:
        if packet.ext_headers:
            skb.packet = _without_atomic(packet)
        return ACCEPT
    if packet.more_fragments and len(packet.dst) == 16 and (packet.length - packet.header_length) % 8:
        return ACCEPT
    together = ctx.services.gather(ctx)
    if together is not None:
        if not together:
            skb.extra["stolen_ok"] = True
        return ACCEPT if together else HookResult("stolen")
    if not ctx.services.decide(Unknown(OTHERS_ARRIVE), ("defrag", ctx.ns.id)):
        return HookResult("stolen", "FRAG_REASM_TIMEOUT", None, WAITS, None, "fragments-missing")
    if packet.fragment_offset:
        return HookResult("unknown", "", None, FIRST_DECIDES)
    from pktdiag.model.exthdr import whole

    skb.packet = whole(packet)
    return ACCEPT


def _without_atomic(packet: Packet) -> Packet:
    """The first fragment header of a packet that is whole, put together from itself."""
    numbers = [number for number, _ in packet.ext_headers]
    if IPPROTO_FRAGMENT not in numbers:
        return packet
    at = numbers.index(IPPROTO_FRAGMENT)
    return packet._replace(ext_headers=packet.ext_headers[:at] + packet.ext_headers[at + 1:], length=packet.length - 8)


def ingress_as_inet(ctx: HookContext, chain: BaseChain) -> HookResult:
    """nft_do_chain_inet_ingress() (net/netfilter/nft_chain_filter.c): IPv4 and IPv6 only, with the inet ingress hook."""
    from pktdiag.netfilter.nft.evaluate import run_base_chain

    return run_base_chain(as_inet(ctx), chain) if ctx.skb.ethertype in (0x0800, 0x86DD) else ACCEPT


def as_inet(ctx: HookContext) -> HookContext:
    """The ingress of a device as chains of the inet family see it."""
    return as_ip(ctx)._replace(hook=NF_INET_INGRESS)


def as_ip(ctx: HookContext) -> HookContext:
    """A hook of frames as the functions of IP's see it."""
    return ctx._replace(pf=NFPROTO_IPV4 if ctx.skb.ethertype == 0x0800 else NFPROTO_IPV6)


def unknown_function(ctx: HookContext, function: str, module: str) -> HookResult:
    """A registered hook function that is not modelled: a BPF link, IPVS, an out-of-tree module."""
    where = f"{function} of {module}" if module else function
    if ctx.services.decide(Unknown(f"the hook function {where} lets the packet pass unchanged"), ("hook", ctx.ns.id, function)):
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", None, f"the hook function {where} does not let it pass", None, "unknown-hook")
