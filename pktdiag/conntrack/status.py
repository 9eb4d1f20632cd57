"""Bits of a connection's status: enum ip_conntrack_status, include/uapi/linux/netfilter/nf_conntrack_common.h."""

from __future__ import annotations

IPS_EXPECTED, IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED = 0x1, 0x2, 0x4, 0x8
IPS_SRC_NAT, IPS_DST_NAT, IPS_SEQ_ADJUST = 0x10, 0x20, 0x40
IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE = 0x80, 0x100
IPS_DYING, IPS_FIXED_TIMEOUT, IPS_TEMPLATE, IPS_NAT_CLASH = 0x200, 0x400, 0x800, 0x1000
IPS_HELPER, IPS_OFFLOAD = 0x2000, 0x4000
IPS_NAT_MASK = IPS_SRC_NAT | IPS_DST_NAT
IPS_NAT_DONE_MASK = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE

STATE_WORDS = {0: "part of an established connection", 1: "related to a known connection", 2: "a new connection",
               3: "an answer on a known connection", 4: "related to a known connection, as an answer",
               7: "invalid: it belongs to no connection", 8: "untracked"}


def is_reply(state: int | None) -> bool:
    """CTINFO2DIR(): whether the packet travels in its connection's reply direction."""
    return state in (3, 4)
