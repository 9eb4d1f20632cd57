"""NETMAP: one to one mapping of a network. net/netfilter/xt_NETMAP.c: netmap_tg4, netmap_tg6."""

from __future__ import annotations

from pktdiag.model.kernel import NF_INET_LOCAL_OUT, NF_INET_PRE_ROUTING
from pktdiag.model.packet import format_address
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, NatRange
from pktdiag.netfilter.xt.base import mask_length
from pktdiag.netfilter.xt.targets.masquerade import decode
from pktdiag.netfilter.xt.targets.natrange import MAP_IPS, without_unset

__all__ = ["decode", "evaluate", "render"]


def _mask(low: bytes, high: bytes) -> int:
    full = (1 << len(low) * 8) - 1
    return full ^ int.from_bytes(low, "big") ^ int.from_bytes(high, "big")


def evaluate(info: NatRange, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    """Host bits of the packet's own address, network bits of the target's."""
    if info.min_addr is None or info.max_addr is None:
        return None
    destination = ctx.hook in (NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT)
    address = ctx.skb.packet.dst if destination else ctx.skb.packet.src
    mask = _mask(info.min_addr, info.max_addr)
    full = (1 << len(address) * 8) - 1
    value = int.from_bytes(address, "big") & ~mask & full | int.from_bytes(info.min_addr, "big") & mask
    new = value.to_bytes(len(address), "big")
    return ctx.services.nat_setup(ctx, without_unset(info._replace(flags=info.flags | MAP_IPS, min_addr=new, max_addr=new)),
                                  not destination)


def render(info: NatRange, family: int) -> str:
    assert info.min_addr is not None and info.max_addr is not None
    size = len(info.min_addr)
    mask = _mask(info.min_addr, info.max_addr).to_bytes(size, "big")
    length = mask_length(mask)
    suffix = f"/{format_address(mask)}" if length is None else f"/{length}"
    return f"--to {format_address(info.min_addr)}{suffix}"
