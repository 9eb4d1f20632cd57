"""It arrived, and nobody was there: no listener, a full accept queue, a connection nobody remembers."""

from __future__ import annotations

from pktdiag.explain.causes import engines
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.causes.words import at, capital, rejected, sentence
from pktdiag.explain.whatif import nft_rule
from pktdiag.explain.whatif.changes import AddNatChain
from pktdiag.model.host import Socket
from pktdiag.model.kernel import (
    AF_INET,
    IPPROTO_TCP,
    NF_INET_LOCAL_OUT,
    NF_INET_PRE_ROUTING,
    NF_IP_PRI_NAT_DST,
    PROTO_NAMES,
    TCP_LISTEN,
)
from pktdiag.model.packet import Packet, endpoint, format_address, in_prefix
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.walk import sockets

_MAX_NAMESPACES = 2000


def no_listener(case: Case) -> Finding:
    """Nobody listens: perhaps on another address here, perhaps on this port in a container, perhaps nowhere."""
    packet = case.packet
    name = PROTO_NAMES.get(packet.proto, str(packet.proto))
    where = place(case)
    if packet.is_icmp or not packet.has_ports:
        return Finding(sentence(f"{capital(rejected(case))} {at(case)}: {case.drop.text}"), (), ())
    tool = "ss -lntp" if packet.proto == IPPROTO_TCP else "ss -lnup"
    evidence = [f"No {name} socket on port {packet.dport} at {format_address(packet.dst)} {at(case)}: {inside(case, tool)}"]
    summary = f"{capital(rejected(case))}: it reaches {where}, but nobody there listens on {name} port {packet.dport}."
    here = _bound_elsewhere(case, packet)
    if here:
        shown = ", ".join(dict.fromkeys(endpoint(sock.local, sock.lport) for sock in here))
        owner = sockets.receiver(case.ns, here[0], None).process or "a process"
        summary = (f"{capital(rejected(case))}: it reaches {where}, but {owner} listens on {shown} only, not on "
                   f"{format_address(packet.dst)}.")
        wildcard = "0.0.0.0" if packet.family == AF_INET else "::"
        proposal = Proposal(f"Let {owner} listen on {wildcard}, or on {format_address(packet.dst)}", (inside(case, tool),), ())
        return Finding(summary, tuple(evidence), (proposal,))
    proposals: list[Proposal] = []
    for ns, sock, address in _listeners_elsewhere(case, packet):
        target = place(case, ns)
        got = sockets.receiver(ns, sock, case.host.container_of(ns.id))
        evidence.append(f"{capital(target)} does listen: {got.socket} ({got.process or 'unknown process'}, pid {got.pid})")
        if not proposals:
            summary += f" {capital(target)} does listen on port {packet.dport}; the port is not published to it."
        proposals.append(_publish(case, packet, target, address, sock.lport))
    if not proposals:
        ports = _open_ports(case, packet)
        other = f" ({ports})" if ports else ""
        if ports:
            evidence.append(f"What is listened on there: {name} {ports}")
            summary = summary[:-1] + f" ({name} {ports} is listened on there)."
        asked = case.question.packet
        if (asked.dst, asked.dport) != (packet.dst, packet.dport):
            why = (f"Let the translation of {endpoint(asked.dst, asked.dport)} lead to a port that is listened on{other}, or start the "
                   f"service on port {packet.dport}")
        else:
            why = f"Start the service on port {packet.dport}, or aim at a port that is listened on{other}"
        proposals.append(Proposal(why, (inside(case, tool),), ()))
    gone = engines.flushed(case)
    if gone is not None:
        summary += f" {gone.text}."
        proposals.insert(0, gone.proposal)
    return Finding(summary, tuple(evidence), tuple(proposals[:3]))


def _listening(ns: NamespaceView, packet: Packet) -> list[Socket]:
    try:
        found = sockets.candidates(ns, packet.proto, packet.family)
    except Unreadable:
        return []
    wanted = TCP_LISTEN if packet.proto == IPPROTO_TCP else 7
    return [sock for sock in found if sock.state == wanted]


def _bound_elsewhere(case: Case, packet: Packet) -> list[Socket]:
    return [sock for sock in _listening(case.ns, packet) if sock.lport == packet.dport]


def _open_ports(case: Case, packet: Packet) -> str:
    ports = sorted({sock.lport for sock in _listening(case.ns, packet)})
    return ", ".join(str(port) for port in ports[:12])


def _listeners_elsewhere(case: Case, packet: Packet) -> list[tuple[NamespaceView, Socket, bytes]]:
    """Listeners on the same port in namespaces that this one reaches directly, with the address to reach them at."""
    found = []
    prefixes = [(item.local, item.prefixlen) for item in case.ns.addresses(packet.family) if item.local[0] != 127]
    for number, ns in enumerate(case.host.namespaces()):
        if ns.id == case.ns.id or number > _MAX_NAMESPACES:
            continue
        socks = [sock for sock in _listening(ns, packet) if sock.lport == packet.dport]
        if not socks:
            continue
        try:
            own = [item.local for item in ns.addresses(packet.family) if item.scope == 0]
        except Unreadable:
            continue
        for sock in socks:
            for address in own:
                if any(sock.local) and sock.local[-len(address):] != address:
                    continue
                if address != packet.src and any(in_prefix(address, prefix, length) for prefix, length in prefixes):
                    found.append((ns, sock, address))
                    break
            else:
                continue
            break
    return found


def _publish(case: Case, packet: Packet, target: str, address: bytes, port: int) -> Proposal:
    """The DNAT rule that would carry it there; for packets of this host's own it belongs into OUTPUT."""
    local = case.question.ingress is None and case.question.netns == case.ns.id
    hook, chain = (NF_INET_LOCAL_OUT, "OUTPUT") if local else (NF_INET_PRE_ROUTING, "PREROUTING")
    name = PROTO_NAMES[packet.proto]
    tool = "iptables" if packet.family == AF_INET else "ip6tables"
    command = (f"{tool} -t nat -I {chain} -p {name} -d {format_address(packet.dst)} --dport {packet.dport} "
               f"-j DNAT --to-destination {endpoint(address, port)}")
    expressions = (nft_rule.match_port(packet.proto, packet.dport) + nft_rule.match_address(packet.dst, destination=True)
                   + nft_rule.counter() + nft_rule.dnat(address, port))
    change = AddNatChain(case.ns.id, packet.family, hook, NF_IP_PRI_NAT_DST - 1,
                         (nft_rule.rule(packet.family, nft_rule.TABLE_NAME, nft_rule.chain_name(hook), expressions),))
    return Proposal(f"Send port {packet.dport} on to {target} (for a container engine: publish it with -p "
                    f"{packet.dport}:{port}/{name})", (inside(case, command),), (change,))


def overflow(case: Case) -> Finding:
    """The accept queue is full: the SYN is dropped without a word, and the client tries again later."""
    return Finding(sentence(f"Dropped without a word {at(case)}: {case.drop.text[:1].lower()}{case.drop.text[1:]}"),
                   (f"Recv-Q above Send-Q: {inside(case, f'ss -lnt sport = :{case.packet.dport}')}",),
                   (Proposal("Make the application accept faster, or raise its backlog and net.core.somaxconn",
                             (inside(case, "ss -lnt"), inside(case, "sysctl net.core.somaxconn")), ()),))


def no_connection(case: Case) -> Finding:
    """A segment of a connection that only the other side still has."""
    again = Proposal("Open a new connection: on this side it is gone (restarted, or timed out)", (inside(case, "ss -nt"),), ())
    return Finding(sentence(f"{capital(rejected(case))} {at(case)}: {case.drop.text}"), (), (again,))
