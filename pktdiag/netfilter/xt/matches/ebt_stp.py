"""ebtables stp: fields of a spanning tree frame. net/bridge/netfilter/ebt_stp.c: ebt_stp_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import bang, mac_text, port_range

(TYPE, FLAGS, ROOTPRIO, ROOTADDR, ROOTCOST, SENDERPRIO, SENDERADDR, PORT, MSGAGE, MAXAGE, HELLOTIME, FWDD) = (1 << bit for bit in range(12))


class EbtStp(NamedTuple):
    """struct ebt_stp_info."""

    type: int
    flags: int
    root_prio: tuple[int, int]
    root_addr: tuple[bytes, bytes]
    root_cost: tuple[int, int]
    sender_prio: tuple[int, int]
    sender_addr: tuple[bytes, bytes]
    port: tuple[int, int]
    times: tuple[tuple[int, int], ...]
    """Message age, maximum age, hello time, forward delay."""
    bitmask: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> EbtStp:
    fields = unpack_from("=B3xBxHH6s6s2xIIHH6s6s10HHH", data)
    type_, flags, rp0, rp1, root, root_mask, rc0, rc1, sp0, sp1, sender, sender_mask = fields[:12]
    p0, p1, a0, a1, m0, m1, h0, h1, f0, f1, bitmask, invflags = fields[12:]
    return EbtStp(type_, flags, (rp0, rp1), (root, root_mask), (rc0, rc1), (sp0, sp1), (sender, sender_mask), (p0, p1),
                  ((a0, a1), (m0, m1), (h0, h1), (f0, f1)), bitmask, invflags)


def evaluate(info: EbtStp, ctx: HookContext) -> Tri:
    """Only frames that begin with the LLC header of a BPDU are looked at; an IP or ARP frame does not."""
    return False


def render(info: EbtStp, family: int) -> str:
    kind = {0: "config", 0x80: "tcn"}.get(info.type, f"{info.type}")
    flags = {1: "topology-change", 0x80: "topology-change-ack"}.get(info.flags, f"{info.flags}")
    parts = []
    for flag, option, value in ((TYPE, "type", kind), (FLAGS, "flags", flags), (ROOTPRIO, "root-prio", port_range(*info.root_prio)),
                                (ROOTADDR, "root-addr", mac_text(*info.root_addr)), (ROOTCOST, "root-cost", port_range(*info.root_cost)),
                                (SENDERPRIO, "sender-prio", port_range(*info.sender_prio)),
                                (SENDERADDR, "sender-addr", mac_text(*info.sender_addr)), (PORT, "port", port_range(*info.port)),
                                (MSGAGE, "msg-age", port_range(*info.times[0])), (MAXAGE, "max-age", port_range(*info.times[1])),
                                (HELLOTIME, "hello-time", port_range(*info.times[2])), (FWDD, "forward-delay", port_range(*info.times[3]))):
        if info.bitmask & flag:
            parts.append(f"--stp-{option} {bang(info.invflags & flag)}{value}")
    return " ".join(parts)
