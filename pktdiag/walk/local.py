"""Local delivery: from INPUT to a socket, or to the refusal that is sent back.

Sources: net/ipv4/ip_input.c (ip_protocol_deliver_rcu), net/ipv4/udp.c (__udp4_lib_rcv), net/ipv4/tcp_ipv4.c (tcp_v4_rcv),
net/ipv4/tcp_input.c (tcp_rcv_state_process), net/ipv4/icmp.c (icmp_rcv, icmp_echo), net/ipv4/ping.c (ping_rcv), and
their IPv6 twins.
"""

from __future__ import annotations

from pktdiag.model.host import Link, Socket
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    IPPROTO_NONE,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    PACKET_HOST,
    PROTO_NAMES,
    TCP_ACK,
    TCP_CWR,
    TCP_ECE,
    TCP_ESTABLISHED,
    TCP_FIN,
    TCP_LISTEN,
    TCP_RST,
    TCP_SYN,
    TCP_SYN_RECV,
)
from pktdiag.model.packet import Packet, endpoint, format_address
from pktdiag.model.trace import Receiver
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import SUMMED, Skb, Unknown
from pktdiag.walk import addresses as addr
from pktdiag.walk import icmp, sockets
from pktdiag.walk.route import RouteResult
from pktdiag.walk.state import Walk


def deliver(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """ip_protocol_deliver_rcu() / ip6_protocol_deliver_rcu()"""
    packet = skb.packet
    v4 = packet.family == AF_INET
    if not v4 and (packet.ext_headers or packet.fragment_offset or packet.more_fragments or packet.proto == IPPROTO_NONE):
        from pktdiag.walk import exthdrs

        if not exthdrs.deliver(walk, ns, dev, skb):
            return
        packet = skb.packet
    if packet.is_icmp or packet.proto in (IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE):
        walk.count(ns, "IpInDelivers" if v4 else "Ip6InDelivers")
    if any(ns.xfrm_policies()) and not _let_in(walk, ns, dev, skb):
        return
    early = sockets.demuxed(ns, skb, dev)
    if early is not None and early[1] is not None:
        skb.tproxy_sock = early[1]
    elif _for_client(walk, ns, dev, skb, early[0] if early is not None and packet.proto == IPPROTO_TCP else packet) or \
            (early is not None and _for_client(walk, ns, dev, skb, packet)):
        return
    if "dport" in packet.unknown and packet.proto in (IPPROTO_TCP, IPPROTO_UDP) and not isinstance(skb.tproxy_sock, Socket) \
            and sockets.candidates(ns, packet.proto, packet.family):
        walk.unsure(ns, "socket", dev, skb, "which port is drawn at random for it")
    elif packet.proto == IPPROTO_TCP:
        _tcp(walk, ns, dev, skb)
    elif packet.proto in (IPPROTO_UDP, IPPROTO_UDPLITE):
        _udp(walk, ns, dev, skb)
    elif packet.is_icmp:
        icmp.receive(walk, ns, dev, skb)
    else:
        _other(walk, ns, dev, skb)


def _let_in(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    from pktdiag.walk import ipsec

    packet = skb.packet
    handled = packet.is_icmp or _handled(walk, packet)
    home = walk.memory.get("replying") and not walk.question.header_included  # to the socket that asked
    socket = packet.has_ports and bool(home or isinstance(skb.tproxy_sock, Socket)
                                       or sockets.lookup(ns, packet, _arrived_on(ns, skb, dev)))
    return ipsec.takes(walk, ns, dev, skb, socket, handled)


def _for_client(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, packet: Packet) -> bool:
    """The answer coming home, looked at as ``packet``: the question's own socket does not exist on the host, so the walk plays it."""
    client = walk.memory.get("client")
    decision = skb.route if isinstance(skb.route, RouteResult) else None
    if client is None or client.netns != ns.id or (decision is not None and decision.kind != "local"):
        return False
    if walk.question.header_included and not walk.memory.get("replying"):
        return False  # a raw socket's packet to itself, from a port to the same: nobody there is asking yet
    own = packet
    if packet.is_icmp and packet.inner is not None:
        if packet.inner.proto == IPPROTO_NONE and len(packet.dst) == 16:
            return False  # icmpv6_notify() finds no transport header in it
        own = packet.inner.turned()
    expected = client.packet
    if own.proto != expected.proto or own.dst != expected.src:
        return False
    if own.has_ports:
        if own.dport != expected.sport:
            return False
        if (own.src, own.sport) != (expected.dst, expected.dport) and (
                packet.proto != IPPROTO_UDP or not walk.memory.get("replying") or _client_is_connected(walk, ns, expected)):
            return False
    elif not own.is_icmp and not walk.memory.get("replying"):
        return False  # nothing tells a packet to oneself from its answer but that it is the first
    elif (own.is_icmp and own.icmp_id != expected.icmp_id) \
            or (own.is_icmp and packet.inner is None and packet.icmp_type not in (0, 129, 14)):
        return False
    what = icmp.name_of(packet) if packet.is_icmp and packet.inner is not None else "the answer"
    port = f":{expected.sport}" if expected.has_ports else ""
    walk.deliver(ns, dev, skb, Receiver(ns.id, None, "the sender", walk.host.container_of(ns.id), None),
                 f"The sender's own socket at {format_address(expected.src)}{port} gets {what}.")
    return True


def _choose(walk: Walk, ns: NamespaceView, found: list[Socket]) -> Socket:
    """One of several equal sockets: a reuseport group's hash, or the order they were bound in, decides."""
    for sock in found[:-1]:
        if walk.decide(Unknown(f"of the {len(found)} sockets equally bound to {endpoint(sock.local, sock.lport)} the one with inode "
                               f"{sock.inode} is chosen"), ("socket", ns.id, sock.inode)):
            return sock
    return found[-1]


def _client_is_connected(walk: Walk, ns: NamespaceView, asked: Packet) -> bool:
    """UDP answers from elsewhere are for sockets alone that never called connect() (compute_score)."""
    return walk.decide(Unknown(f"the sender's UDP socket is connected to {asked.ends()[1]}, and takes answers from there alone"),
                       ("client connected", ns.id))


def _udp(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    packet = skb.packet
    v4 = packet.family == AF_INET
    base = "Udp" if v4 else "Udp6"
    if "vxlan" in skb.extra:
        from pktdiag.walk import vxlan

        if vxlan.receive(walk, ns, dev, skb):
            return
    if packet.proto == IPPROTO_UDPLITE:
        base = "UdpLite" if v4 else "UdpLite6"
    elif SUMMED in skb.extra:
        from pktdiag.walk.summed import spoiled

        if spoiled(walk, ns, skb):
            walk.drop(ns, "socket", dev, skb, "UDP_CSUM", "A rule changed its IPv6 header behind connection tracking, which had added up "
                      "its checksum by then: UDP takes it for damaged.", counters=("Udp6InErrors", "Udp6InCsumErrors"),
                      cause="summed-before")
            return
    decision = skb.route if isinstance(skb.route, RouteResult) else None
    if decision is not None and decision.kind in ("broadcast", "multicast"):
        _udp_multicast(walk, ns, dev, skb, base)
        return
    found = sockets.lookup(ns, packet, _arrived_on(ns, skb, dev))
    if isinstance(skb.tproxy_sock, Socket):
        found = [skb.tproxy_sock]
    if not found:
        skb.ct = skb.ct_state = None  # nf_reset_ct() comes first: the error finds its connection by itself, at priority -200
        sent = icmp.error(walk, ns, skb, 3 if v4 else 1, 3 if v4 else 4, dev=dev)
        walk.drop(ns, "socket", dev, skb, "NO_SOCKET", f"Nobody listens on {PROTO_NAMES[packet.proto]} port {packet.dport} "
                  f"at {format_address(packet.dst)} in this namespace.", counters=(base + "NoPorts",), cause="no-listener",
                  answer=("icmp port-unreachable" if v4 else "icmpv6 port-unreachable") if sent else None)
        return
    sock = _choose(walk, ns, found)
    walk.count(ns, base + "InDatagrams")
    _delivered(walk, ns, dev, skb, sock)
    if walk.question.with_reply:
        # From its own port, which TPROXY makes another one than was asked for.
        icmp.answer_with(walk, ns, skb, sock, "udp-reply", _said(reply_packet(packet)._replace(sport=sock.lport)))


def _arrived_on(ns: NamespaceView, skb: Skb, dev: Link) -> Link:
    """The device sockets bound to one see: a packet to one of this host's own addresses loops through lo, and yet counts as
    received on the device that has the address (include/net/route.h: inet_iif, rt_iif as ip_route_output_key_hash_rcu()
    sets it; net/ipv6/ip6_input.c: ip6_rcv_core)."""
    decision = skb.route
    if dev.loopback and isinstance(decision, RouteResult) and decision.kind == "local" and decision.match is not None:
        hop = decision.match.nexthop
        owner = ns.link(hop.ifindex) if hop is not None and hop.ifindex else None
        return owner or dev
    return dev


def _said(packet: Packet) -> Packet:
    """An answer whose content nobody knows."""
    return packet._replace(payload=b"", unknown=packet.unknown | {"payload"})


def reply_packet(packet: Packet) -> Packet:
    """The same packet turned round, as its receiver would answer it."""
    return packet.turned()._replace(ttl=64, tos=0, df=True, fragment_offset=0, more_fragments=False)


def _udp_multicast(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, base: str) -> None:
    """__udp4_lib_mcast_deliver(): every socket that fits gets a copy; nobody is no error."""
    packet = skb.packet
    group = addr.is_multicast(packet.dst)
    takers = [sock for sock in sockets.met(ns, packet, dev)
              if sock.lport == packet.dport and (not any(sock.local) or sock.local == packet.dst)
              and sock.ifindex in (0, dev.ifindex)
              and (sock.state != TCP_ESTABLISHED or (sock.remote == packet.src and sock.rport == packet.sport))]
    if not takers:
        walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", f"No socket here takes {'multicast' if group else 'broadcast'} to port "
                  f"{packet.dport}; it is discarded without a word.", counters=("UdpIgnoredMulti",) if base == "Udp" else (),
                  cause="no-listener")
        return
    walk.count(ns, *([base + "InDatagrams"] * len(takers)))
    for sock in takers:
        _delivered(walk, ns, dev, skb, sock)


def _delivered(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, sock: Socket) -> None:
    got = sockets.receiver(ns, sock, walk.host.container_of(ns.id))
    who = got.process or "a process that could not be named"
    pid = f" (pid {got.pid})" if got.pid is not None else ""
    inside = f" in {got.container}" if got.container else ""
    walk.deliver(ns, dev, skb, got, f"Delivered to {got.socket}: {who}{pid}{inside}.")


def _tcp(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    packet = skb.packet
    if skb.pkt_type != PACKET_HOST:
        walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", "TCP ignores broadcast and multicast.", cause="tcp-broadcast")
        return
    walk.count(ns, "TcpInSegs")
    found = [skb.tproxy_sock] if isinstance(skb.tproxy_sock, Socket) else sockets.lookup(ns, packet, _arrived_on(ns, skb, dev))
    if not found:
        _no_tcp_socket(walk, ns, dev, skb)
        return
    sock = _choose(walk, ns, found)
    if sock.state == TCP_SYN_RECV and packet.tcp_flags & TCP_ACK and not walk.decide(
            Unknown("it acknowledges the SYN-ACK that was sent for the connection being opened"), ("tcp-ack", ns.id, sock.inode)):
        # tcp_check_req(): any other acknowledgement number is the listener's affair
        listeners = sockets.lookup(ns, packet, _arrived_on(ns, skb, dev), listening=True)
        if not listeners:
            _no_tcp_socket(walk, ns, dev, skb)
            return
        sock = _choose(walk, ns, listeners)
    if sock.state != TCP_LISTEN:
        _delivered(walk, ns, dev, skb, sock)
        return
    flags = packet.tcp_flags
    where = sockets.describe(sock)
    # tcp_rcv_state_process(), case TCP_LISTEN
    if flags & TCP_ACK:
        sent = icmp.reset(walk, ns, skb, sock)
        walk.drop(ns, "socket", dev, skb, "TCP_FLAGS",
                  f"{where} is listening and knows no connection from {packet.ends()[0]}.",
                  counters=("TcpOutRsts",) if sent else (), cause="tcp-no-connection", answer="tcp reset" if sent else None)
    elif flags & TCP_RST:
        walk.drop(ns, "socket", dev, skb, "TCP_RESET", f"A reset for the listening socket {where} means nothing.", cause="tcp-state")
    elif not flags & TCP_SYN or flags & TCP_FIN:
        walk.drop(ns, "socket", dev, skb, "TCP_FLAGS",
                  f"{where} is listening; a segment with these flags opens nothing.", cause="tcp-state")
    elif isinstance(skb.route, RouteResult) and skb.route.kind in ("broadcast", "multicast"):
        walk.drop(ns, "socket", dev, skb, "", "A connection asked for at a broadcast or multicast address is not opened.",
                  counters=("TcpExtListenDrops",), cause="tcp-broadcast")  # tcp_v4_conn_request(), tcp_v6_conn_request()
    elif sock.rqueue > sock.wqueue:
        walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED",
                  f"The accept queue of {where} is full ({sock.rqueue} of {sock.wqueue}): the application does not accept fast enough.",
                  counters=("TcpExtListenOverflows", "TcpExtListenDrops"), cause="listen-overflow")
    else:
        _delivered(walk, ns, dev, skb, sock)
        if walk.question.with_reply:
            back = reply_packet(packet)
            back = back._replace(tcp_flags=TCP_SYN | TCP_ACK | _ecn(ns, packet), length=_syn_ack_length(packet), payload=b"",
                                 tcp_options=b"", unknown=back.unknown | {"tcp_options"})
            if packet.ip_options:
                from pktdiag.walk import ip_options

                back = ip_options.with_echo(skb, back) or back  # tcp_v4_save_options(): or without them
            icmp.answer_with(walk, ns, skb, sock, "syn-ack", back)


def _syn_ack_length(packet: Packet) -> int:
    """tcp_synack_options(): the options that the SYN had, aligned to words, and always a segment size; a SYN about whose options
    nothing is known is taken for a Linux one, which has them all."""
    base = (20 if packet.family == AF_INET else 40) + 20
    options, kinds = packet.tcp_options, set()
    if "tcp_options" in packet.unknown or ("payload" in packet.unknown and not options):
        return base + 20
    at = 0
    while at < len(options) and options[at]:
        size = 1 if options[at] == 1 else options[at + 1] if at + 1 < len(options) else 0
        if not size or at + size > len(options):
            break
        kinds.add((options[at], size))
        at += size
    stamps = (8, 10) in kinds
    return base + 4 + 4 * ((3, 3) in kinds) + (12 if stamps else 4 * ((4, 2) in kinds))


def _ecn(ns: NamespaceView, packet: Packet) -> int:
    """tcp_ecn_create_request(): a SYN that asks for ECN, in an IP packet that is not marked itself, is granted it."""
    asked = packet.tcp_flags & (TCP_ECE | TCP_CWR) == TCP_ECE | TCP_CWR and not packet.tos & 3
    return TCP_ECE if asked and (ns.sysctl("net/ipv4/tcp_ecn") or "2") != "0" else 0


def _no_tcp_socket(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    packet = skb.packet
    sent = icmp.reset(walk, ns, skb)
    walk.drop(ns, "socket", dev, skb, "NO_SOCKET",
              f"Nobody listens on tcp port {packet.dport} at {format_address(packet.dst)} in this namespace.",
              counters=("TcpOutRsts",) if sent else (), cause="no-listener", answer="tcp reset" if sent else None)


# Who registers for a protocol (inet_add_protocol, inet6_add_protocol): a module, and a function that is nowhere else. A kernel without
# that function handles the protocol as little as any unknown one; no packet makes it load the module.
_HANDLERS = {
    (AF_INET, 2): ("ipv4", ""), (AF_INET, 4): ("tunnel4", "tunnel4_rcv"), (AF_INET6, 4): ("tunnel6", "tunnel46_rcv"),
    (AF_INET, 33): ("dccp_ipv4", "dccp_v4_rcv"), (AF_INET6, 33): ("dccp_ipv6", "dccp_v6_rcv"),
    (AF_INET, 41): ("tunnel4", "tunnel64_rcv"), (AF_INET6, 41): ("tunnel6", "tunnel6_rcv"),
    (AF_INET, 47): ("gre", "gre_rcv"), (AF_INET6, 47): ("ip6_gre", "ip6gre_rcv"),
    (AF_INET, 50): ("esp4", "esp4_rcv_cb"), (AF_INET6, 50): ("esp6", "esp6_rcv_cb"),
    (AF_INET, 51): ("ah4", "ah4_rcv_cb"), (AF_INET6, 51): ("ah6", "ah6_rcv_cb"),
    (AF_INET, 103): ("ipv4", "pim_rcv"), (AF_INET6, 103): ("ipv6", "pim6_rcv"),
    (AF_INET, 108): ("ipcomp", "ipcomp4_rcv_cb"), (AF_INET6, 108): ("ipcomp6", "ipcomp6_rcv_cb"),
    (AF_INET, 115): ("l2tp_ip", "l2tp_ip_recv"), (AF_INET6, 115): ("l2tp_ip6", "l2tp_ip6_recv"),
    (AF_INET, 132): ("sctp", "sctp_rcv"), (AF_INET6, 132): ("sctp", "sctp6_rcv"),
}


def _handled(walk: Walk, packet: Packet) -> bool:
    handler = _HANDLERS.get((packet.family, packet.proto))
    return handler is not None and (handler[1] == "" or walk.host.kernel_function(*handler) is not False)


def _other(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    packet = skb.packet
    v4 = packet.family == AF_INET
    raw = sockets.raw_sockets(ns, packet, _arrived_on(ns, skb, dev))
    handled = _handled(walk, packet)
    if raw or handled:
        walk.count(ns, "IpInDelivers" if v4 else "Ip6InDelivers")
    if raw:
        _delivered(walk, ns, dev, skb, raw[0])
        return
    name = PROTO_NAMES.get(packet.proto, f"protocol {packet.proto}")
    if handled:
        walk.unsure(ns, "socket", dev, skb, f"what this host's {name} handler does with it")
        return
    sent = icmp.error(walk, ns, skb, 3 if v4 else 4, 2 if v4 else 1, dev=dev)
    walk.drop(ns, "socket", dev, skb, "IP_NOPROTO", f"Nothing here handles {name}.",
              counters=("IpInUnknownProtos" if v4 else "Ip6InUnknownProtos",), cause="no-protocol",
              answer=("icmp protocol-unreachable" if v4 else "icmpv6 parameter-problem") if sent else None)
