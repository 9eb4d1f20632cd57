"""ebtables vlan: fields of the VLAN tag. net/bridge/netfilter/ebt_vlan.c: ebt_vlan_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang, be16

ID, PRIO, ENCAP = 1, 2, 4


class EbtVlan(NamedTuple):
    """struct ebt_vlan_info."""

    id: int
    prio: int
    encap: int
    bitmask: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> EbtVlan:
    id_, prio = unpack_from("=HB", data)
    return EbtVlan(id_, prio, be16(data, 4), data[6], data[7])


def evaluate(info: EbtVlan, ctx: HookContext) -> Tri:
    """The tag taken out by the receive path (skb->vlan_tci); what it wraps is the frame's ethertype."""
    tci = ctx.skb.vlan_tci
    if tci is None:
        return False
    for flag, wanted, actual in ((ID, info.id, tci & 0xFFF), (PRIO, info.prio, tci >> 13 & 7), (ENCAP, info.encap, ctx.skb.ethertype)):
        if info.bitmask & flag and (wanted == actual) == bool(info.invflags & flag):
            return False
    return True


def render(info: EbtVlan, family: int) -> str:
    parts = []
    for flag, option, value in ((ID, "vlan-id", f"{info.id}"), (PRIO, "vlan-prio", f"{info.prio}"),
                                (ENCAP, "vlan-encap", f"{info.encap:04X}")):
        if info.bitmask & flag:
            parts.append(f"--{option} {bang(info.invflags & flag)}{value}")
    return " ".join(parts)
