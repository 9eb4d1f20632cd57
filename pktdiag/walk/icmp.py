"""ICMP and ICMPv6: what arrives, and the errors and resets that are sent back.

Sources: net/ipv4/icmp.c (icmp_rcv, icmp_echo, __icmp_send), net/ipv4/ping.c, net/ipv6/icmp.c (icmpv6_rcv, icmp6_send),
net/ipv4/tcp_ipv4.c (tcp_v4_send_reset), net/ipv4/netfilter/nf_reject_ipv4.c, net/ipv6/netfilter/nf_reject_ipv6.c.
Rate limits (net.ipv4.icmp_ratelimit) are taken as not reached.
"""

from __future__ import annotations

from pktdiag.model.host import Link, Socket
from pktdiag.model.kernel import (
    AF_INET,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_NONE,
    IPPROTO_TCP,
    NF_INET_INGRESS,
    NF_INET_PRE_ROUTING,
    NFPROTO_BRIDGE,
    NFPROTO_NETDEV,
    PACKET_HOST,
    RT_SCOPE_LINK,
    TCP_ACK,
    TCP_RST,
)
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.trace import Receiver
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import HookContext, Skb, reply_mark
from pktdiag.walk import addresses as addr
from pktdiag.walk import answering, route, sockets
from pktdiag.walk.route import RouteResult
from pktdiag.walk.state import Answer, Walk

ERRORS4 = frozenset((3, 4, 5, 11, 12))
_OUT4 = {3: "IcmpOutDestUnreachs", 4: "IcmpOutSrcQuenchs", 5: "IcmpOutRedirects", 11: "IcmpOutTimeExcds", 12: "IcmpOutParmProbs"}
_OUT6 = {1: "Icmp6OutDestUnreachs", 2: "Icmp6OutPktTooBigs", 3: "Icmp6OutTimeExcds", 4: "Icmp6OutParmProblems"}
_IN4 = {0: "IcmpInEchoReps", 3: "IcmpInDestUnreachs", 4: "IcmpInSrcQuenchs", 5: "IcmpInRedirects", 8: "IcmpInEchos",
        11: "IcmpInTimeExcds", 12: "IcmpInParmProbs", 13: "IcmpInTimestamps", 14: "IcmpInTimestampReps",
        17: "IcmpInAddrMasks", 18: "IcmpInAddrMaskReps"}
_IN6 = {1: "Icmp6InDestUnreachs", 2: "Icmp6InPktTooBigs", 3: "Icmp6InTimeExcds", 4: "Icmp6InParmProblems", 128: "Icmp6InEchos",
        129: "Icmp6InEchoReplies"}

_NOT_VERIFIED = frozenset((33, 47, 50, 51, 132, 136))
_SUMMED4, _SUMMED6 = frozenset((1, 2, 6, 17)), frozenset((6, 17, 58, 135))
"""Protocols with an Internet checksum over all of them: IPv4 counts the pseudo header in for TCP and UDP, IPv6 for all."""

# iptables --reject-with / nft reject names
NAMES4 = {(3, 0): "net-unreachable", (3, 1): "host-unreachable", (3, 2): "proto-unreachable", (3, 3): "port-unreachable",
          (3, 4): "fragmentation-needed", (3, 9): "net-prohibited", (3, 10): "host-prohibited", (3, 13): "admin-prohibited",
          (11, 0): "time-exceeded", (11, 1): "reassembly-timeout", (12, 0): "parameter-problem"}
NAMES6 = {(1, 0): "no-route", (1, 1): "admin-prohibited", (1, 2): "beyond-scope", (1, 3): "addr-unreachable", (1, 4): "port-unreachable",
          (1, 5): "policy-fail", (1, 6): "reject-route", (2, 0): "packet-too-big", (3, 0): "time-exceeded", (4, 1): "parameter-problem",
          (4, 0): "bad-header", (4, 2): "unknown-option"}


def sent_by_socket(packet: Packet) -> tuple[str, ...]:
    """icmp_out_count(), for what IPv4 raw and ping sockets send (raw_send_hdrinc, __ip_make_skb): the counters that move."""
    kind = packet.icmp_type
    name = _OUT4.get(kind) or _IN4.get(kind, "").replace("IcmpIn", "IcmpOut")
    return ("IcmpOutMsgs", f"IcmpMsgOutType{kind}", *((name,) if name else ()))


def name_of(packet: Packet) -> str:
    """``icmp port-unreachable``"""
    if packet.proto == IPPROTO_ICMPV6:
        return "icmpv6 " + NAMES6.get((packet.icmp_type, packet.icmp_code), f"type {packet.icmp_type} code {packet.icmp_code}")
    return "icmp " + NAMES4.get((packet.icmp_type, packet.icmp_code), f"type {packet.icmp_type} code {packet.icmp_code}")


def is_error(packet: Packet) -> bool:
    """Whether it is an ICMP error message (never answered with another one)."""
    if not packet.is_icmp:
        return False
    return packet.icmp_type in ERRORS4 or packet.icmp_type > 18 if packet.proto == IPPROTO_ICMP else packet.icmp_type < 128


def error(walk: Walk, ns: NamespaceView, skb: Skb, type_: int, code: int, *, dev: Link | None, info: int = 0,
          to_groups: bool = False) -> bool:
    """icmp_send() / icmpv6_send(): queues the error as an :class:`Answer`. False: the kernel keeps silent for such a packet.
    ``to_groups``: also where the packet was for many (opt_unrec: an option says so). IPv6 answers later fragments, too."""
    packet = skb.packet
    v4 = packet.family == AF_INET
    many = to_groups or (not v4 and type_ == 2)
    if skb.pkt_type != PACKET_HOST and not many:
        return False
    decision = skb.route if isinstance(skb.route, RouteResult) else None
    if v4 and decision is not None and decision.kind in ("broadcast", "multicast"):
        return False
    if packet.fragment_offset and v4:
        return False
    if is_error(packet) and not packet.fragment_offset:
        return False
    if (addr.is_multicast(packet.dst) and not many) or addr.is_multicast(packet.src) or (not v4 and addr.is_any(packet.src)):
        return False
    source = bytes(len(packet.dst))
    if (decision is not None and decision.kind == "local") or (not v4 and addr.is_local(ns, packet.dst)):
        source = packet.dst
        if v4 and not addr.is_local(ns, source):
            return False  # icmp_route_lookup(): a source that is not ours has no route
    elif v4 and skb.iif and ns.sysctl("net/ipv4/icmp_errors_use_inbound_ifaddr") == "1" and (came_in := ns.link(skb.iif)):
        source = addr.select_address(ns, came_in, packet.src, RT_SCOPE_LINK)
    back = packet.src
    if addr.is_any(back):  # ip_route_output_key_hash_rcu(): to nobody is to oneself
        back = source = source if any(source) else b"\x7f\0\0\1"
    length = min(576 if v4 else 1280, (28 if v4 else 48) + packet.length)
    plain = Packet(src=source, dst=back, proto=IPPROTO_ICMP if v4 else IPPROTO_ICMPV6, icmp_type=type_, icmp_code=code,
                   inner=packet._replace(inner=None), length=length, tos=0xC0 | (packet.tos & 0x1E) if v4 else 0, df=False,
                   tcp_flags=0)
    answer = _with_options(skb, plain)
    if answer is None:
        return False
    if answer is not plain:
        answer = answer._replace(length=min(576, answer.length))
    mark, vrf = reply_mark(ns, skb), _vrf(ns, skb)
    way = route.output(walk, ns, answer, mark=mark, any_source=True)
    if not v4 and skb.iif and addr.is_any(source) and not _prefers_source(way) and (came_in := ns.link(skb.iif)):
        # icmp6_send(): "select a more meaningful saddr from input if" (icmpv6_rt_has_prefsrc)
        answer = answer._replace(src=addr.select_address6(ns, came_in, packet.src))
    if way.kind == "error" and not vrf:
        if not v4 and way.error == "ENETUNREACH":
            walk.count(ns, "Ip6OutNoRoutes")
        return False  # nothing is sent without a way back (icmp_route_lookup, icmpv6_route_lookup)
    walk.count(ns, *(("IcmpOutMsgs", _OUT4[type_], f"IcmpMsgOutType{type_}") if v4
                     else ("Icmp6OutMsgs", _OUT6[type_], f"Icmp6OutType{type_}")))
    walk.answer(Answer(ns, answer, "icmp-error", mark, vrf, skb))
    return True


def _vrf(ns: NamespaceView, skb: Skb) -> int:
    """The VRF that has to say what answers a packet of this namespace's own: the one its device belongs to (icmp_route_lookup,
    ip_route_me_harder: l3mdev_master_ifindex); 0 for none. What comes in through one is not followed as far as this."""
    decision = skb.route
    out = ns.link(decision.oif) if isinstance(decision, RouteResult) and decision.oif and not skb.iif else None
    return (out.master or 0) if out is not None and out.slave_kind == "vrf" else 0


def _with_options(skb: Skb, answer: Packet) -> Packet | None:
    """The answer with the IP options it takes over; None: they have no room, and nothing is sent."""
    if not skb.packet.ip_options:
        return answer
    from pktdiag.walk.ip_options import with_echo

    return with_echo(skb, answer)


def _prefers_source(way: RouteResult) -> bool:
    return way.match is not None and way.match.route is not None and way.match.route.prefsrc is not None


def reset(walk: Walk, ns: NamespaceView, skb: Skb, sock: Socket | None = None) -> bool:
    """tcp_v4_send_reset(): never for a reset, and without a socket only for packets meant for this host.

    ``sock``: the listener that refuses. Its mark and device are used; since v6.13 the reset is also its own (skb_set_owner_edemux
    in ip_send_unicast_reply), as far as rules ask whose packet it is. That version shows by a sysctl of v6.14.
    """
    packet = skb.packet
    decision = skb.route if isinstance(skb.route, RouteResult) else None
    if packet.tcp_flags & TCP_RST or (sock is None and decision is not None and (decision.kind != "local" or decision.foreign)):
        return False
    answer = _with_options(skb, _reset_packet(packet))
    if answer is None:
        return False
    mark = reply_mark(ns, skb) or (sock.mark if sock is not None else 0)
    oif = sock.ifindex if sock is not None else 0
    if packet.family != AF_INET:
        way = route.output(walk, ns, answer, oif=oif, mark=mark, any_source=True)
        if way.kind == "error":  # tcp_v6_send_response() gives up without a way, and counts no reset
            if way.error == "ENETUNREACH":
                walk.count(ns, "Ip6OutNoRoutes")
            return False
    owner = sock if sock is not None and ns.sysctl("net/ipv4/tcp_tw_reuse_delay") is not None else None
    walk.answer(Answer(ns, answer, "rst", mark, oif, skb, sock=owner))
    return True


def _reset_packet(packet: Packet) -> Packet:
    """tcp_v4_send_reset(), tcp_v6_send_response(): in the class of the packet refused, without its ECN bits."""
    flags = TCP_RST if packet.tcp_flags & TCP_ACK else TCP_RST | TCP_ACK
    back = packet.turned()
    return back._replace(tcp_flags=flags, ttl=64, length=40 if packet.family == AF_INET else 60, df=True, tcp_options=b"", payload=b"",
                         tos=packet.tos & ~3, unknown=back.unknown - {"tcp_options"})


def _reset_of_rule(packet: Packet) -> Packet:
    """nf_reject_iphdr_put(), nf_reject_ip6hdr_put(): no class, no flow label."""
    answer = _reset_packet(packet)
    return answer._replace(tos=0, unknown=answer.unknown - {"flow_label"})


def answer_with(walk: Walk, ns: NamespaceView, skb: Skb, sock: Socket | None, kind: str, packet: Packet) -> None:
    """The receiver's own answer. A UDP server on a wildcard address that just calls sendto() lets routing choose the source."""
    mark = sock.mark if sock is not None else reply_mark(ns, skb)
    if kind == "udp-reply" and sock is not None and not any(sock.local):
        packet = packet._replace(src=bytes(len(packet.src)))
        walk.assume("the UDP server answers with sendto(), so routing chooses the answer's source address")
    walk.answer(Answer(ns, packet, kind, mark, sock.ifindex if sock is not None else 0, skb,
                       sock=sock))


def netfilter_answer(walk: Walk, ctx: HookContext, answer: str) -> str | None:
    """What a REJECT sends (nf_send_unreach, nf_send_reset and their bridge forms); None where the kernel sends nothing."""
    skb, packet = ctx.skb, ctx.skb.packet
    frames = ctx.pf if ctx.pf in (NFPROTO_BRIDGE, NFPROTO_NETDEV) else 0
    raw = ctx.indev if frames else None
    if not _checksum_right(walk, skb):
        return None
    if frames == NFPROTO_BRIDGE and skb.dst_mac and skb.dst_mac[0] & 1:
        return None  # nft_reject_bridge_eval()
    if answer == "tcp reset":
        if packet.proto != IPPROTO_TCP or packet.tcp_flags & TCP_RST or packet.fragment_offset:
            return None
        if raw is None and isinstance(skb.route, RouteResult) and skb.route.kind in ("broadcast", "multicast"):
            return None  # nf_send_reset() answers nothing that was for many
        mark, sent, vrf = reply_mark(ctx.ns, skb), _reset_of_rule(packet), 0 if frames else _vrf(ctx.ns, skb)
        if raw is None and not vrf and route.output(walk, ctx.ns, sent, mark=mark, any_source=True).kind == "error":
            return None  # nf_send_reset() gives up without a way back (ip_route_me_harder)
        if raw is None and skb.physin and "nf_bridge" in skb.extra:
            # nf_send_reset(): what br_netfilter brought in goes back out of that port at once, past OUTPUT and the bridge
            raw = ctx.ns.link(skb.physin)
        walk.answer(Answer(ctx.ns, sent, "rst", 0 if frames else mark, vrf, skb, True, raw, frames))
        return answer
    protocol, _, name = answer.partition(" ")
    table = NAMES4 if protocol == "icmp" else NAMES6
    aliases = {"prot-unreachable": "proto-unreachable", "adm-prohibited": "admin-prohibited", "address-unreachable": "addr-unreachable"}
    name = aliases.get(name, name)
    number = next((key for key, value in table.items() if value == name), None)
    if number is None or (protocol == "icmp") != (packet.family == AF_INET):
        return None
    if raw is not None:
        if is_error(packet) or packet.fragment_offset:
            return None
        v4 = packet.family == AF_INET  # nf_reject_skb_v4_unreach(), nf_reject_skb_v6_unreach()
        frame = Packet(src=packet.dst, dst=packet.src, proto=IPPROTO_ICMP if v4 else IPPROTO_ICMPV6, icmp_type=number[0],
                       icmp_code=number[1], inner=packet._replace(inner=None), df=v4, tcp_flags=0,
                       length=28 + min(536, packet.length) if v4 else 48 + min(1220, packet.length))
        walk.answer(Answer(ctx.ns, frame, "icmp-error", 0, 0, skb, True, raw, frames))
        return answer
    if ctx.hook in (NF_INET_PRE_ROUTING, NF_INET_INGRESS) and skb.route is None:
        # nf_reject_fill_skb_dst(), nf_reject6_fill_skb_dst(): by the address alone; without a way nothing is tried, nor counted
        asker = Packet(src=bytes(len(packet.src)), dst=packet.src, proto=0, tcp_flags=0)
        if route.output(walk, ctx.ns, asker, any_source=True).kind == "error":
            return None
    return answer if error(walk, ctx.ns, skb, *number, dev=ctx.indev) else None


def _checksum_right(walk: Walk, skb: Skb) -> bool:
    """nf_send_unreach(), nf_send_unreach6() (reject6_csum_ok), nf_reject_ip_tcphdr_get(): nothing answers a packet whose checksum is wrong,
    as it is to nf_ip_checksum() in a protocol that has none in its place, too (nf_reject_verify_csum knows a few). A raw socket's
    packets nobody has verified. Later fragments are never answered."""
    packet = skb.packet
    v4 = len(packet.dst) == 4
    if packet.fragment_offset or (packet.proto == IPPROTO_NONE and not v4):
        return False
    if packet.proto in _NOT_VERIFIED:
        return True
    from pktdiag.netfilter import checksum

    if packet.proto in (_SUMMED4 if v4 else _SUMMED6) and not checksum.doubtful(skb):
        return True
    if checksum.own_piece(skb):  # without a pseudo header, which says a length, what is all zeroes may be missing
        return packet.proto == IPPROTO_ICMP and walk.decide(checksum.ZEROES, checksum.ZEROES)
    return not walk.question.header_included and walk.decide(checksum.VERIFIED, checksum.KEY)


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """icmp_rcv() / icmpv6_rcv()"""
    packet = skb.packet
    v4 = packet.family == AF_INET
    kind = packet.icmp_type
    walk.count(ns, "IcmpInMsgs" if v4 else "Icmp6InMsgs", f"{'IcmpMsg' if v4 else 'Icmp6'}InType{kind}")
    named = (_IN4 if v4 else _IN6).get(kind)
    if named:
        walk.count(ns, named)
    decision = skb.route if isinstance(skb.route, RouteResult) else None
    group = decision is not None and decision.kind in ("broadcast", "multicast")
    if v4 and group and kind not in (8, 13, 17, 18):
        # RFC 1122 3.2.2.6 and 3.2.2.8: nothing else may come to a broadcast or multicast address
        walk.drop(ns, "socket", dev, skb, "INVALID_PROTO",
                  f"An {name_of(packet)} message may not come to a broadcast or multicast address.",
                  counters=("IcmpInErrors",), cause="icmp-group")
    elif v4 and group and kind == 13 and ns.sysctl("net/ipv4/icmp_echo_ignore_broadcasts") == "1":
        walk.drop(ns, "socket", dev, skb, "INVALID_PROTO", "Timestamp requests to broadcast or multicast addresses are ignored "
                  "(icmp_echo_ignore_broadcasts=1).", counters=("IcmpInErrors",), cause="echo-ignored")
    elif not v4 and kind in (1, 2, 3, 4) and packet.inner is not None and packet.inner.proto == IPPROTO_NONE:
        walk.drop(ns, "socket", dev, skb, "IPV6_BAD_EXTHDR", "What the error quotes has no transport header (icmpv6_notify).",
                  counters=("Icmp6InErrors",), cause="no-payload")
    elif kind == (8 if v4 else 128):
        _echo(walk, ns, dev, skb, group)
    elif kind == (0 if v4 else 129):
        _echo_reply(walk, ns, dev, skb)
    elif v4 and kind > 18:
        walk.drop(ns, "socket", dev, skb, "UNHANDLED_PROTO", f"ICMP type {kind} is unknown to the kernel.", counters=("IcmpInErrors",),
                  cause="icmp-unknown-type")
    else:
        walk.deliver(ns, dev, skb, Receiver(ns.id, None, "kernel", walk.host.container_of(ns.id), None),
                     f"The kernel itself takes the {name_of(packet)} message.")
        if v4 and kind == 13:
            walk.count(ns, "IcmpOutMsgs", "IcmpOutTimestampReps", "IcmpMsgOutType14")
            _echo_answer(walk, ns, dev, skb, 14, group)


def _echo(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, group: bool) -> None:
    v4 = skb.packet.family == AF_INET
    base = "net/ipv4/" if v4 else "net/ipv6/icmp/"
    ignored = ns.sysctl(base + ("icmp_echo_ignore_all" if v4 else "echo_ignore_all")) == "1"
    if group and ns.sysctl(base + ("icmp_echo_ignore_broadcasts" if v4 else "echo_ignore_multicast")) == "1":
        walk.drop(ns, "socket", dev, skb, "INVALID_PROTO" if v4 else "", "Echo requests to broadcast or multicast addresses are ignored "
                  "(icmp_echo_ignore_broadcasts=1).", counters=("IcmpInErrors",) if v4 else (), cause="echo-ignored")
        return
    if ignored:
        walk.drop(ns, "socket", dev, skb, "", "The kernel is told to ignore echo requests (icmp_echo_ignore_all=1); it is discarded "
                  "without a drop reason.", cause="echo-ignored")
        return
    if not v4 and not group:
        # icmpv6_echo_reply() looks for the way back before it does anything, and without one the request itself is dropped.
        answer = skb.packet._replace(src=skb.packet.dst, dst=skb.packet.src)
        way = route.output(walk, ns, answer, mark=reply_mark(ns, skb), any_source=True)
        if way.kind == "error":
            walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", f"The kernel would answer the echo request, but cannot: {way.text}.",
                      counters=("Ip6OutNoRoutes",) if way.error == "ENETUNREACH" else (), cause="no-route")
            return
    walk.count(ns, *(("IcmpOutMsgs", "IcmpOutEchoReps", "IcmpMsgOutType0") if v4
                     else ("Icmp6OutMsgs", "Icmp6OutEchoReplies", "Icmp6OutType129")))
    walk.deliver(ns, dev, skb, Receiver(ns.id, None, "kernel", walk.host.container_of(ns.id), None),
                 f"The kernel answers the echo request for {format_address(skb.packet.dst)}.")
    _echo_answer(walk, ns, dev, skb, 0 if v4 else 129, group)


def _echo_answer(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, kind: int, group: bool = False) -> None:
    packet = skb.packet.plain() if skb.packet.ext_headers or skb.packet.ip_options else skb.packet
    source = packet.dst
    if group:
        source = answering.address(walk, ns, dev, packet, skb.mark) if len(packet.dst) == 4 else bytes(16)
    reply = packet._replace(src=source, dst=packet.src, icmp_type=kind, ttl=64, df=False,
                            unknown=packet.unknown | {"flow_label"})
    if kind == 14:  # icmp_timestamp(): three times, and nothing of what was asked but the first
        reply = reply._replace(length=40, payload=b"", unknown=reply.unknown | {"payload"})
    answer = _with_options(skb, reply)
    if answer is None:
        return  # icmp_reply() gives up, after it has counted
    walk.answer(Answer(ns, answer, "echo-reply", reply_mark(ns, skb), 0, skb))


def _echo_reply(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """ping_rcv(): a ping socket with this id, or a raw socket that listens; nobody is a drop."""
    raw = sockets.raw_sockets(ns, skb.packet, dev)
    if raw:
        got = sockets.receiver(ns, raw[0], walk.host.container_of(ns.id))
        walk.deliver(ns, dev, skb, got, f"A raw socket of {got.process or 'some process'} sees the echo reply.")
        return
    walk.drop(ns, "socket", dev, skb, "NO_SOCKET", "No ping is waiting for this echo reply.", cause="no-listener")
