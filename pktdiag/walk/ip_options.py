"""IPv4 options, where a host looks at them: behind the routing decision, before INPUT and FORWARD.

Sources: net/ipv4/ip_input.c (ip_rcv_options), net/ipv4/ip_options.c (__ip_options_compile, ip_options_rcv_srr, __ip_options_echo),
net/ipv4/ip_forward.c (ip_call_ra_chain). Addresses and times that hosts write into them stay unknown ("ip_option_data"); the pointers
behind them do not.
"""

from __future__ import annotations

from pktdiag.model import ipopt
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET
from pktdiag.model.packet import Packet
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk import addresses as addr
from pktdiag.walk import icmp
from pktdiag.walk.route import RouteResult
from pktdiag.walk.state import Walk


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, decision: RouteResult) -> bool:
    """ip_rcv_options(): False: it ended. A packet that comes by several times is looked at every time (a new one each time it is
    received)."""
    packet = skb.packet
    found = ipopt.compiled(packet.ip_options, True)
    if found.error is not None:
        skb.extra.pop("ip options", None)
        sent = icmp.error(walk, ns, skb, 12, 0, dev=dev, info=found.error)
        walk.drop(ns, "ip-receive", dev, skb, "IP_INHDR", f"Its IP options are wrong at byte {found.error} of the header.",
                  counters=("IpInHdrErrors",), cause="bad-options", answer="icmp parameter-problem" if sent else None)
        return False
    if found.cipso:
        walk.unsure(ns, "ip-receive", dev, skb, "what a security label (CIPSO) in its options says")
        return False
    skb.extra["ip options"] = True
    skb.packet = _recorded(packet, found, decision.kind == "local")
    if skb.packet.ip_options != packet.ip_options:
        skb.extra["options written"] = True
    if not found.srr:
        return True
    if not addr.conf_and(ns, dev.name, "accept_source_route"):
        walk.drop(ns, "ip-receive", dev, skb, "NOT_SPECIFIED", "It is source-routed, which is not accepted here "
                  f"(accept_source_route=0 on {dev.name} or for all).", cause="source-route")
        return False
    walk.unsure(ns, "ip-receive", dev, skb, "how its source route goes on, which is not modelled")
    return False


def compiled_again(skb: Skb) -> bool:
    """ipv4_send_dest_unreach(): a failed neighbour's error reads the options anew, and writes into them. False: they are wrong, and
    there is no error (net/ipv4/route.c)."""
    found = ipopt.compiled(skb.packet.ip_options, True)
    if found.error is not None:
        return False
    skb.packet = _recorded(skb.packet, found, False)
    skb.extra["ip options"] = True
    return True


def _recorded(packet: Packet, found: ipopt.Compiled, local: bool) -> Packet:
    """What is written into a route or time stamps to be recorded: of a packet for this host, its destination (fib_compute_spec_dst)."""
    options, written = bytearray(packet.ip_options), False
    end = next((at for at, kind, _ in ipopt.places(packet.ip_options) if kind == ipopt.END), len(options))
    options[end:] = bytes(len(options) - end)
    if found.rr:
        at = found.rr - 20
        size, pointer = options[at + 1], options[at + 2]
        if pointer <= size:
            options[at + pointer - 1:at + pointer + 3] = packet.dst if local else bytes(4)
            options[at + 2] += 4
            written = not local
    if found.ts:
        at = found.ts - 20
        size, pointer, kind = options[at + 1], options[at + 2], options[at + 3] & 15
        if pointer > size:
            if kind != 3:
                options[at + 3] += 0x10
        elif kind in (0, 1):
            options[at + 2] += 4 if kind == 0 else 8
            written = True
        elif kind == 3:  # for whom the next stamp is meant is not looked at
            written = True
    unknown = packet.unknown | {"ip_option_data"} if written else packet.unknown
    return packet._replace(ip_options=bytes(options), unknown=unknown)


def alerts(packet: Packet) -> bool:
    """Whether it bears a router alert."""
    return ipopt.first(packet.ip_options, ipopt.RA)[2:4] == b"\0\0"


def taken_by_alert(walk: Walk, ns: NamespaceView, skb: Skb) -> bool:
    """ip_call_ra_chain(): a raw socket of the packet's protocol that asked for it (IP_ROUTER_ALERT) takes it out of the way; which of
    them did is not shown by the kernel."""
    if not alerts(skb.packet) or not any(skb.packet.proto in (sock.lport, sock.proto) for sock in ns.sockets(255, AF_INET)):
        return False
    return walk.decide(Unknown("a raw socket here asked for packets with a router alert (IP_ROUTER_ALERT)"), ("ra", ns.id))


def with_echo(skb: Skb, answer: Packet) -> Packet | None:
    """The host's own answer with the options it takes over from ``skb``; None: there is no room for them, and no answer."""
    if not skb.packet.ip_options or "ip options" not in skb.extra:
        return answer
    options = echoed(skb.packet)
    if options is None or not options:
        return answer if options is not None else None
    return answer._replace(ip_options=options, length=answer.length + len(options), unknown=answer.unknown | {"ip_option_data"})


def echoed(packet: Packet) -> bytes | None:
    """__ip_options_echo(): what the host's own answer bears: a recorded route and time stamps, with room for its own. None: they have
    no room left as it would be needed, and there is no answer. Source routes and labels end in front of this."""
    made = b""
    for kind in (ipopt.RR, ipopt.TIMESTAMP):
        option = bytearray(ipopt.first(packet.ip_options, kind))
        if option and option[2] <= len(option):
            room = 4 if kind == ipopt.RR else {0: 4, 1: 8}.get(option[3] & 15, 0)
            if room and option[2] + room - 1 > len(option):
                return None
            option[2] += room
        made += bytes(option)
    return made + bytes(-len(made) % 4)
