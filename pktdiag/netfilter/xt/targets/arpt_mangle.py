"""arptables mangle: rewrites addresses inside an ARP frame. net/ipv4/netfilter/arpt_mangle.c: target."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import Arp, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult

SDEV, TDEV, SIP, TIP = 1, 2, 4, 8
NF_DROP, NF_ACCEPT = 0, 1


class Mangle(NamedTuple):
    """struct arpt_mangle."""

    src_mac: bytes
    dst_mac: bytes
    src: bytes
    dst: bytes
    flags: int
    target: int
    """NF_DROP, NF_ACCEPT or XT_CONTINUE (-1)."""


def decode(rev: int, data: bytes, family: int) -> Mangle:
    src_mac, dst_mac, src, dst, flags, target = unpack_from("=16s16s4s4sB3xi", data)
    return Mangle(src_mac[:6], dst_mac[:6], src, dst, flags, target)


def evaluate(info: Mangle, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    arp = ctx.skb.arp
    if isinstance(arp, Arp):
        ctx.skb.arp = arp._replace(
            sender_mac=info.src_mac if info.flags & SDEV else arp.sender_mac, sender=info.src if info.flags & SIP else arp.sender,
            target_mac=info.dst_mac if info.flags & TDEV else arp.target_mac, target=info.dst if info.flags & TIP else arp.target)
    if info.target == NF_ACCEPT:
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", rule, "dropped by arptables mangle", cause="rule-drop") if info.target == NF_DROP else None


def render(info: Mangle, family: int) -> str:
    parts = []
    for flag, option, value in ((SIP, "ip-s", format_address(info.src)), (SDEV, "mac-s", info.src_mac.hex(":")),
                                (TIP, "ip-d", format_address(info.dst)), (TDEV, "mac-d", info.dst_mac.hex(":"))):
        if info.flags & flag:
            parts.append(f"--mangle-{option} {value}")
    if info.target != NF_ACCEPT:
        parts.append("--mangle-target " + ("DROP" if info.target == NF_DROP else "CONTINUE"))
    return " ".join(parts)
