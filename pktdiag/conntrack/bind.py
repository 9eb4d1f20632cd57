"""Making a NAT binding: what DNAT, SNAT, MASQUERADE, REDIRECT and the NAT hook itself do to a new connection.

Sources: net/netfilter/nf_nat_core.c (nf_nat_setup_info, nf_nat_alloc_null_binding), nf_nat_masquerade.c,
nf_nat_redirect.c.
"""

from __future__ import annotations

from pktdiag.conntrack import choose
from pktdiag.conntrack.manip import changes_source
from pktdiag.conntrack.status import (
    IPS_DST_NAT,
    IPS_DST_NAT_DONE,
    IPS_SRC_NAT,
    IPS_SRC_NAT_DONE,
)
from pktdiag.conntrack.tuples import invert
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    NF_INET_LOCAL_OUT,
)
from pktdiag.model.packet import endpoint, format_address
from pktdiag.netfilter.context import ACCEPT, Conn, HookContext, HookResult, NatRange

_LOOPBACK = {4: bytes((127, 0, 0, 1)), 16: b"\0" * 15 + b"\1"}
_MAPPED = bytes(10) + b"\xff\xff"
IFA_F_OPTIMISTIC, IFA_F_TENTATIVE = 0x04, 0x40


def initialized(conn: Conn, source: bool) -> bool:
    """nf_nat_initialized(): this half of the binding is settled."""
    return bool(conn.status & (IPS_SRC_NAT_DONE if source else IPS_DST_NAT_DONE))


def setup(ctx: HookContext, wanted: NatRange, source: bool, conn: Conn | None = None) -> HookResult:
    """nf_nat_setup_info(): binds the packet's connection. Does nothing to a confirmed one. Accepts; never rewrites the
    packet, which the NAT hook does afterwards."""
    conn = conn or ctx.skb.ct
    if conn is None or conn.confirmed:
        return ACCEPT
    if initialized(conn, source):
        return HookResult("drop", "NETFILTER_DROP", None, "the connection already has a NAT binding of this kind")
    current = invert(conn.reply)
    if current is None:
        return ACCEPT
    choice = choose.unique_tuple(ctx, conn, current, wanted, source)
    if choice.tuple != current:
        conn.reply = invert(choice.tuple) or conn.reply
        conn.status |= IPS_SRC_NAT if source else IPS_DST_NAT
        if choice.random_port:
            conn.extra["random-port"] = True
        _tell(ctx, conn, source, choice)
    conn.status |= IPS_SRC_NAT_DONE if source else IPS_DST_NAT_DONE
    return ACCEPT


def null_binding(ctx: HookContext) -> HookResult:
    """nf_nat_alloc_null_binding(): no rule wanted NAT. The address stays; a source port may still change
    to stay unique."""
    conn = ctx.skb.ct
    if conn is None:
        return ACCEPT
    source = changes_source(ctx.hook)
    address = conn.reply.dst if source else conn.reply.src
    return setup(ctx, NatRange(choose.MAP_IPS, address, address, 0, 0), source, conn)


def masquerade(ctx: HookContext, wanted: NatRange, source: bytes) -> HookResult:
    """nf_nat_masquerade_ipv4() / _ipv6(). ``source`` is the address the outgoing device would send from
    (inet_select_addr() towards the next hop, ipv6_dev_get_saddr() towards the destination); zeroes: it has none."""
    conn = ctx.skb.ct
    if conn is None:
        return ACCEPT
    if len(conn.orig.src) == 4 and not any(conn.orig.src):
        return ACCEPT  # 0.0.0.0: a DHCP client's packet
    name = ctx.outdev.name if ctx.outdev else "?"
    if not any(source):
        return HookResult("drop", "NETFILTER_DROP", None, f"masquerade: {name} has no address to send from", None,
                          "masquerade-no-address")
    if ctx.outdev is not None:
        conn.extra["masq-index"] = ctx.outdev.ifindex
    return setup(ctx, wanted._replace(flags=wanted.flags | choose.MAP_IPS, min_addr=source, max_addr=source), True)


def redirect(ctx: HookContext, wanted: NatRange) -> HookResult:
    """nf_nat_redirect_ipv4() / _ipv6(): to the loopback address for this host's own packets, else to the first address
    of the device the packet came in on."""
    width = len(ctx.skb.packet.dst)
    if ctx.hook == NF_INET_LOCAL_OUT:
        address: bytes | None = _LOOPBACK[width]
    else:
        address = _first_address(ctx, width)
        if address is None:
            name = ctx.indev.name if ctx.indev else "?"
            return HookResult("drop", "NETFILTER_DROP", None, f"redirect: {name} has no address", None,
                              "redirect-no-address")
    return setup(ctx, wanted._replace(flags=wanted.flags | choose.MAP_IPS, min_addr=address, max_addr=address), False)


def _first_address(ctx: HookContext, width: int) -> bytes | None:
    """IPv4: the first entry of in_dev->ifa_list, whatever its kind. IPv6 (nf_nat_redirect_ipv6_usable, v6.7): the first
    that is usable, and of the destination's scope when that is not global."""
    if ctx.indev is None:
        return None
    scope = _scope6(ctx.skb.packet.dst) if width == 16 else 0
    for item in ctx.ns.addresses(AF_INET if width == 4 else AF_INET6):
        if item.ifindex != ctx.indev.ifindex:
            continue
        if width == 4:
            return item.local
        if item.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE or item.local[:12] == _MAPPED:
            continue
        if not scope or scope == _scope6(item.local):
            return item.local
    return None


def _scope6(address: bytes) -> int:
    """ipv6_addr_scope() for unicast: 0 global, else the bit of IPV6_ADDR_SCOPE_MASK."""
    if address[0] == 0xFE and address[1] & 0xC0 in (0x80, 0xC0):
        return 0x20 if address[1] & 0xC0 == 0x80 else 0x40
    return 0x10 if address == _LOOPBACK[16] else 0


def _tell(ctx: HookContext, conn: Conn, source: bool, choice: choose.Choice) -> None:
    before, after = ctx.skb.packet, choice.tuple
    icmp = after.proto in (IPPROTO_ICMP, IPPROTO_ICMPV6)
    if source:
        port = "a random port" if choice.random_port else None
        old = format_address(before.src) if icmp or not after.sport else before.ends()[0]
        new = format_address(after.src) if icmp or not after.sport or port else endpoint(after.src, after.sport)
        ctx.services.note(ctx, f"Source NAT: {old} becomes {new}" + (f" with {port}." if port else "."))
    else:
        old = format_address(before.dst) if icmp or not after.dport else before.ends()[1]
        new = format_address(after.dst) if icmp or not after.dport else endpoint(after.dst, after.dport)
        ctx.services.note(ctx, f"Destination NAT: {old} becomes {new}.")
