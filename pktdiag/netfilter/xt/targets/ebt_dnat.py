"""ebtables dnat: rewrites the frame's destination. net/bridge/netfilter/ebt_dnat.c: ebt_dnat_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import NF_BR_BROUTING, NF_BR_PRE_ROUTING, PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.targets.ebt_verdict import name_of, result_of


def decode(rev: int, data: bytes, family: int) -> tuple[bytes, int]:
    """(MAC, verdict)"""
    mac, target = unpack_from("=6s2xi", data)
    return mac, target


def evaluate(info: tuple[bytes, int], ctx: HookContext, rule: RuleRef | None) -> HookResult | str | None:
    """A multicast address makes the frame multicast; else it is the host's when it is the bridge's own (brouting: the port's)."""
    mac, verdict = info
    ctx.skb.dst_mac = mac
    if mac[0] & 1:
        ctx.skb.pkt_type = PACKET_BROADCAST if mac == b"\xff" * 6 else PACKET_MULTICAST
    elif ctx.indev is not None and ctx.hook in (NF_BR_PRE_ROUTING, NF_BR_BROUTING):
        device = ctx.indev
        if ctx.hook == NF_BR_PRE_ROUTING and device.master is not None:
            device = ctx.ns.link(device.master) or device
        ctx.skb.pkt_type = PACKET_HOST if device.mac == mac else PACKET_OTHERHOST
    return result_of(verdict, rule)


def render(info: tuple[bytes, int], family: int) -> str:
    return f"--to-dst {info[0].hex(':')} --dnat-target {name_of(info[1])}"
