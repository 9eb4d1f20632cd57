"""Which connection a packet belongs to: the hooks conntrack itself registers.

Sources: net/netfilter/nf_conntrack_core.c (nf_conntrack_in, resolve_normal_ct, init_conntrack, __nf_conntrack_confirm),
nf_conntrack_proto_icmp.c (nf_conntrack_inet_error), nf_conntrack_proto.c (ipv4_conntrack_local, nf_confirm).
"""

from __future__ import annotations

from pktdiag.conntrack import expect, manip, protocols, table
from pktdiag.conntrack.accounting import account
from pktdiag.conntrack.status import IPS_EXPECTED, IPS_OFFLOAD, IPS_SEEN_REPLY, STATE_WORDS, is_reply
from pktdiag.conntrack.tuples import invert, tuple_of
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.kernel import (
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NF_INET_LOCAL_OUT,
    NF_INET_PRE_ROUTING,
    NFPROTO_IPV4,
)
from pktdiag.model.packet import Packet
from pktdiag.model.view import Unreadable
from pktdiag.netfilter.context import ACCEPT, SUMMED, Conn, CtState, CtTemplate, HookContext, HookResult, Skb, Unknown, seen_by_conntrack

NO_TEMPLATE = CtTemplate()


def attach(answer: Skb, cause: Skb) -> None:
    """nf_ct_attach() / nf_conntrack_attach(): a reset or ICMP error made by REJECT belongs to the packet's connection,
    in the other direction. What answers an untracked packet is left with a state and no connection: IP_CT_UNTRACKED counts as
    the reply direction (CTINFO2DIR), so it becomes "related" to nothing, which NOTRACK takes for seen and conntrack does not."""
    if cause.ct is not None:
        answer.ct = cause.ct
        answer.ct_state = CtState.RELATED if is_reply(cause.ct_state) else CtState.RELATED_REPLY
    elif seen_by_conntrack(cause):
        answer.ct_state = CtState.RELATED


FAST_PATH = ("whether a flowtable still holds this connection, which is marked as offloaded: then its packets go straight from device to "
             "device, past the rules of PREROUTING, FORWARD and POSTROUTING")
"""net/netfilter/nf_flow_table_ip.c: nf_flow_offload_ip_hook(), at ingress; a FIN or a reset takes the connection back."""


def conntrack_in(ctx: HookContext) -> HookResult:
    """nf_conntrack_in(): PRE_ROUTING and LOCAL_OUT at priority -200. Sets ``skb.ct`` and ``skb.ct_state``."""
    skb = ctx.skb
    if skb.ct is not None or skb.ct_state == CtState.UNTRACKED:
        return ACCEPT  # seen before: loopback, or NOTRACK
    template = skb.extra.pop("ct_template", None)
    template = template if isinstance(template, CtTemplate) else NO_TEMPLATE
    if template.by_mark:
        template = template._replace(zone=skb.mark & 0xFFFF)
    packet = skb.packet
    if packet.more_fragments and ctx.pf == NFPROTO_IPV4 and ctx.hook == NF_INET_LOCAL_OUT:
        return ACCEPT  # IP_NODEFRAG socket: ipv4_conntrack_local leaves fragments alone
    if ctx.services.forced_state is not None and not _belongs_to_this_walk(ctx, template):
        return _forced(ctx, template, ctx.services.forced_state)
    if packet.proto in (IPPROTO_ICMP, IPPROTO_ICMPV6) and _icmp_first(ctx, template):
        return ACCEPT
    tuple_ = tuple_of(ctx.ns, packet)
    if tuple_ is None:
        return _invalid(ctx)
    if (packet.ext_headers or packet.more_fragments) and _checksum_wrong(ctx):
        return _invalid(ctx)
    if packet.proto == IPPROTO_UDP and len(packet.dst) == 16 and ctx.hook == NF_INET_PRE_ROUTING:
        skb.extra[SUMMED] = ctx.ns.id, packet.tos, packet.ttl
    for _ in range(2):
        found = _find(ctx, template, tuple_)
        if found is None:
            made = _new(ctx, template, tuple_)
            if isinstance(made, HookResult):
                return made
            found = made, False
        conn, reply = found
        if conn.status & IPS_OFFLOAD and ctx.hook == NF_INET_PRE_ROUTING and not (packet.proto == IPPROTO_TCP and packet.tcp_flags & 5):
            return HookResult("unknown", "", None, FAST_PATH)
        if reply:
            state = CtState.ESTABLISHED_REPLY
        elif conn.status & IPS_SEEN_REPLY:
            state = CtState.ESTABLISHED
        else:
            state = CtState.RELATED if conn.status & IPS_EXPECTED else CtState.NEW
        verdict = protocols.handle(ctx, conn, reply, packet)
        if verdict == "repeat":
            continue
        if verdict == "invalid":
            return _invalid(ctx)
        account(conn, reply, packet, verdict == "accept")
        if reply:
            conn.status |= IPS_SEEN_REPLY
        skb.ct, skb.ct_state = conn, state
        _tell(ctx)
        return ACCEPT
    return _invalid(ctx)


def _checksum_wrong(ctx: HookContext) -> bool:
    """tcp_error(), udp_error(), nf_conntrack_icmpv6_error(): the checksum is looked at in PRE_ROUTING, the length of UDP, which is the
    whole datagram's, everywhere. A first fragment comes here where nothing gathers it."""
    from pktdiag.netfilter import checksum

    packet = ctx.skb.packet
    if packet.more_fragments and packet.proto == 17:
        return True
    if packet.proto not in (1, 6, 17, IPPROTO_ICMPV6) or ctx.hook != NF_INET_PRE_ROUTING or not checksum.conntrack_looks(ctx.ns):
        return False
    return checksum.wrong(ctx)


def confirm(ctx: HookContext) -> HookResult:
    """nf_confirm(), the last hook of LOCAL_IN and POST_ROUTING: the connection enters the table."""
    conn = ctx.skb.ct
    if conn is None or conn.confirmed or is_reply(ctx.skb.ct_state):
        return ACCEPT
    conns = ctx.services.conns
    for reply, direction in ((False, conn.orig), (True, conn.reply)):
        found = _find_in(ctx, table.zone_of(conn, reply), direction)
        if found is not None and found[0] is not conn:
            return _clash(ctx, conn, found[0])
    table.insert(conns, conn)
    return ACCEPT


def _clash(ctx: HookContext, conn: Conn, winner: Conn) -> HookResult:
    """nf_ct_resolve_clash(): only protocols with ``allow_clash`` (UDP) may be merged, within one zone in both directions; else the
    packet is lost."""
    same = winner.orig == conn.orig and winner.reply == conn.reply
    mirrored = winner.orig == conn.reply and winner.reply == conn.orig
    zones = all(table.zone_of(winner, reply) == table.zone_of(conn, reply) for reply in (False, True))
    if conn.orig.proto in (17, 136):
        if (same or mirrored) and zones:
            ctx.skb.ct = winner
            return ACCEPT
        if _find_in(ctx, table.zone_of(conn, True), conn.reply) is None:
            conn.confirmed = True
            ctx.services.conns[("conn", conn.netns, table.zone_of(conn, True), conn.reply)] = conn
            return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", None,
                      "another connection already uses the same addresses and ports after translation (insert_failed)",
                      None, "conntrack-clash")


def _find(ctx: HookContext, template: CtTemplate, tuple_: ConntrackTuple) -> tuple[Conn, bool] | None:
    """resolve_normal_ct(): a zone may hold for one direction only, so both are looked up, and what is found must be of the zone that
    holds for the direction it was found in (nf_ct_key_equal, nf_ct_zone_equal)."""
    for zone in dict.fromkeys((template.zone_of(False), template.zone_of(True))):
        found = _find_in(ctx, zone, tuple_)
        if found is not None and table.zone_of(*found) == template.zone_of(found[1]):
            return found
    return None


def _find_in(ctx: HookContext, zone: int, tuple_: ConntrackTuple) -> tuple[Conn, bool] | None:
    try:
        return table.find(ctx.services.conns, ctx.ns, zone, tuple_)
    except Unreadable as problem:
        condition = Unknown(f"conntrack in {ctx.ns.id} already knows this connection ({problem.gap.why})")
        if not ctx.services.decide(condition, ("conntrack", ctx.ns.id, zone, tuple_)):
            ctx.services.conns[("conn", ctx.ns.id, zone, tuple_)] = "not there"
            return None
        answer = invert(tuple_) or tuple_
        conn = Conn(tuple_, answer, ctx.ns.id)
        conn.zone = zone
        conn.status = IPS_SEEN_REPLY
        table.insert(ctx.services.conns, conn)
        return conn, False


def _new(ctx: HookContext, template: CtTemplate, tuple_: ConntrackTuple) -> Conn | HookResult:
    """init_conntrack(): a fresh, unconfirmed connection, RELATED where it was expected; INVALID where the message has no answer; DROP
    when full. Not modelled: the NAT that a helper gives an expected connection (nf_nat_follow_master and its like)."""
    answer = invert(tuple_)
    if answer is None:
        return _invalid(ctx)
    count = ctx.ns.conntrack_count()
    if count is not None and count[1] and count[0] >= count[1]:
        condition = Unknown(f"conntrack finds an unassured connection to evict (table full: {count[0]} of {count[1]})")
        if not ctx.services.decide(condition, ("conntrack-full", ctx.ns.id)):
            return HookResult("drop", "NETFILTER_DROP", None,
                              f"nf_conntrack: table full ({count[0]} of {count[1]}), dropping packet", None,
                              "conntrack-table-full")
    conn = Conn(tuple_, answer, ctx.ns.id)
    table.put_in_zone(conn, template)
    conn.helper = template.helper
    manip.remember_drawn(conn, ctx.skb.packet)
    expected = expect.find(ctx.services.conns, ctx.ns, conn.zone, tuple_) if count is not None and count[0] else None
    if expected is not None:
        conn.status |= IPS_EXPECTED
        conn.helper = expected.helper or conn.helper
        master = _find_in(ctx, conn.zone, expected.master)
        if master is not None:
            conn.master, conn.mark = master[0], master[0].mark
    return conn


def _icmp_first(ctx: HookContext, template: CtTemplate) -> bool:
    """nf_conntrack_handle_icmp(): True when the packet is dealt with: an error about a connection (RELATED), an error
    about nothing known (INVALID), or neighbour discovery (UNTRACKED)."""
    skb, packet = ctx.skb, ctx.skb.packet
    if len(packet.dst) == 4:
        if packet.proto != IPPROTO_ICMP:
            return False
        if packet.icmp_type > protocols.NR_ICMP_TYPES:
            _invalid(ctx)
            return True
        error = packet.icmp_type in protocols.ICMP_ERRORS
    else:
        if packet.proto != IPPROTO_ICMPV6:
            return False
        if packet.icmp_type in protocols.ICMPV6_UNTRACKED:
            skb.ct, skb.ct_state = None, CtState.UNTRACKED
            return True
        error = packet.icmp_type < 128
    if not error:
        return False
    found = _quoted(ctx, template, packet.inner) if packet.inner is not None else None
    if found is None or packet.dst != (found[0].reply if found[1] else found[0].orig).dst:
        _invalid(ctx)
        return True
    skb.ct, skb.ct_state = found[0], CtState.RELATED_REPLY if found[1] else CtState.RELATED
    _tell(ctx)
    return True


def _quoted(ctx: HookContext, template: CtTemplate, inner: Packet) -> tuple[Conn, bool] | None:
    """nf_conntrack_inet_error(): the connection of the quoted packet, looked up by the answer to it."""
    original = tuple_of(ctx.ns, inner)
    answer = invert(original) if original is not None else None
    return _find(ctx, template, answer) if answer is not None else None


def _invalid(ctx: HookContext) -> HookResult:
    """No connection and not untracked is what ``ct state invalid`` matches."""
    skb = ctx.skb
    skb.ct, skb.ct_state = None, CtState.RELATED if seen_by_conntrack(skb) else CtState.INVALID
    _tell(ctx)
    return ACCEPT


def _tell(ctx: HookContext) -> None:
    state = ctx.skb.ct_state if ctx.skb.ct is not None or ctx.skb.ct_state == CtState.UNTRACKED else None
    ctx.services.note(ctx, f"Connection tracking: {STATE_WORDS[state if state is not None else CtState.INVALID]}.")


def _belongs_to_this_walk(ctx: HookContext, template: CtTemplate) -> bool:
    """Whether an earlier hop of this walk already tracks the packet here: a forced state is for its first visit."""
    tuple_ = tuple_of(ctx.ns, ctx.skb.packet)
    return any(isinstance(ctx.services.conns.get(("conn", ctx.ns.id, template.zone_of(reply), tuple_)), Conn)
               for reply in (False, True))


def _forced(ctx: HookContext, template: CtTemplate, state: str) -> HookResult:
    """--state: the packet is given the state asked for, on a connection that looks like it and has no NAT."""
    skb = ctx.skb
    if state == "untracked":
        skb.ct, skb.ct_state = None, CtState.UNTRACKED
        return ACCEPT
    tuple_ = tuple_of(ctx.ns, skb.packet)
    if state == "invalid" or tuple_ is None:
        return _invalid(ctx)
    conn = Conn(tuple_, invert(tuple_) or tuple_, ctx.ns.id)
    table.put_in_zone(conn, template)
    skb.ct = conn
    if state == "established":
        conn.status = IPS_SEEN_REPLY
        conn.tcp_state = 3
        table.insert(ctx.services.conns, conn)
        skb.ct_state = CtState.ESTABLISHED
    elif state == "related":
        conn.status = IPS_EXPECTED
        skb.ct_state = CtState.RELATED
    else:
        conn.tcp_state = 1
        skb.ct_state = CtState.NEW
    if state == "new":
        account(conn, False, skb.packet, True)
    else:
        conn.extra["walked"] = None  # what it has carried nobody says
    _tell(ctx)
    return ACCEPT
