"""The NAT hook: nat chains see only the first packet of a connection, and every packet is rewritten as was decided then.

Source: net/netfilter/nf_nat_core.c (nf_nat_inet_fn, nf_nat_oif_changed), nf_nat_proto.c (nf_nat_ipv4_fn,
nf_nat_ipv4_pre_routing, nf_nat_ipv4_local_in).
"""

from __future__ import annotations

from pktdiag.conntrack import bind, manip
from pktdiag.conntrack.status import is_reply
from pktdiag.model.kernel import NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, NF_INET_PRE_ROUTING
from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import ACCEPT, Conn, CtState, HookContext, HookResult

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.netfilter.hook_table import Entry

_FIRST = (CtState.NEW, CtState.RELATED, CtState.RELATED_REPLY)


def run_nat(ctx: HookContext, inside: tuple[Entry, ...]) -> HookResult:
    """nf_nat_inet_fn() with the chains of this hook in ``inside``."""
    skb = ctx.skb
    conn, state = skb.ct, skb.ct_state
    if conn is None or _vrf_postrouting(ctx):
        return ACCEPT
    if state in (CtState.RELATED, CtState.RELATED_REPLY) and skb.packet.is_icmp:
        changed = manip.apply_error(skb.packet, conn, state, ctx.hook)
        if changed is None:
            return HookResult("drop", "NETFILTER_DROP", None, "an ICMP redirect cannot be translated", None, "nat-redirect")
        before, skb.packet = skb.packet, changed
        if changed is not before:
            _tell(ctx, before, changed)
        return _way_again(ctx, before)
    bound_now = False
    if state in _FIRST and not bind.initialized(conn, manip.changes_source(ctx.hook)):
        result = _choose(ctx, conn, inside)
        if result.action != "accept":
            return result
        bound_now = True
    elif _oif_changed(ctx, conn):
        return HookResult("drop", "NETFILTER_DROP", None, "the connection was masqueraded for another device than the one it "
                          "leaves by now; the kernel forgets the connection", None, "masquerade-device-changed")
    before = skb.packet
    skb.packet = manip.apply(before, conn, state, ctx.hook)
    if skb.packet is not before:
        if not bound_now:
            _tell(ctx, before, skb.packet)
        if ctx.hook == NF_INET_PRE_ROUTING and skb.packet.dst != before.dst:
            skb.route = None
        elif ctx.hook == NF_INET_LOCAL_IN and (skb.packet.src, skb.packet.sport) != (before.src, before.sport):
            skb.sock = None  # early demux found a socket for the old source
    return _way_again(ctx, before)


def _way_again(ctx: HookContext, before: Packet) -> HookResult:
    """nf_nat_ipv4_local_fn() routes again at once, ICMP errors too: what finds no way is dropped before the later hooks."""
    if ctx.hook != NF_INET_LOCAL_OUT or ctx.skb.packet.dst == before.dst:
        return ACCEPT
    lost = ctx.services.reroute(ctx)
    if lost is None:
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", None, f"After the destination NAT in OUTPUT there is no way: {lost}", None, "no-route")


def _tell(ctx: HookContext, before: Packet, after: Packet) -> None:
    """A translation settled earlier: of a later packet, of an answer (turned back), of an ICMP error."""
    source = manip.changes_source(ctx.hook)
    old, new = (packet.ends()[0 if source else 1] for packet in (before, after))
    ctx.services.note(ctx, f"NAT of the connection: {'source' if source else 'destination'} {old} becomes {new}.")


def _choose(ctx: HookContext, conn: Conn, inside: tuple[Entry, ...]) -> HookResult:
    from pktdiag.netfilter.hooks import run_entries

    source = manip.changes_source(ctx.hook)
    result = run_entries(ctx, inside, lambda: bind.initialized(conn, source))
    if result.action != "accept" or bind.initialized(conn, source):
        return result
    return bind.null_binding(ctx)


def _oif_changed(ctx: HookContext, conn: Conn) -> bool:
    """nf_nat_oif_changed(): known only for connections made by this walk; ctnetlink does not show the device."""
    index = conn.extra.get("masq-index")
    return (ctx.hook == NF_INET_POST_ROUTING and index is not None and not is_reply(ctx.skb.ct_state)
            and ctx.outdev is not None and index != ctx.outdev.ifindex)


def _vrf_postrouting(ctx: HookContext) -> bool:
    """in_vrf_postrouting(): the first pass over a VRF device is not the real one."""
    return ctx.hook == NF_INET_POST_ROUTING and ctx.outdev is not None and ctx.outdev.kind == "vrf"
