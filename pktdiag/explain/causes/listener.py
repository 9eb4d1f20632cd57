"""It arrived, and nobody was there: no listener, a full accept queue, a connection nobody remembers."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
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
        return Finding("", (case.drop.text,), ())
    tool = "ss -lntp" if packet.proto == IPPROTO_TCP else "ss -lnup"
    evidence = [f"No {name} socket on port {packet.dport} at {format_address(packet.dst)} in {where}: {inside(case, tool)}",
                f"Counter it moves: {', '.join(case.drop.counters) or 'none'}: {inside(case, 'nstat -az')}"]
    answered = f", which answers {case.drop.answer}" if case.drop.answer else ""
    summary = f"Delivered to {where}, where nobody listens on {name} port {packet.dport}{answered}."
    here = _bound_elsewhere(case, packet)
    if here:
        shown = ", ".join(dict.fromkeys(endpoint(sock.local, sock.lport) for sock in here))
        owner = sockets.receiver(case.ns, here[0], None).process or "a process"
        summary = f"{owner} in {where} listens on {shown}, not on {format_address(packet.dst)}{answered}."
        proposal = Proposal("bind the service to 0.0.0.0 (or to the address that is used), not to a loopback or other address",
                            (inside(case, tool),), ())
        return Finding(summary, tuple(evidence), (proposal,))
    proposals: list[Proposal] = []
    for ns, sock, address in _listeners_elsewhere(case, packet):
        target = place(case, ns)
        got = sockets.receiver(ns, sock, case.host.container_of(ns.id))
        evidence.append(f"{target} does listen: {got.socket} ({got.process or 'unknown process'}, pid {got.pid})")
        if not proposals:
            summary += f" {target[0].upper()}{target[1:]} does listen on port {packet.dport}; the port is not published to it."
        proposals.append(_publish(case, packet, target, address, sock.lport))
    if not proposals:
        ports = _open_ports(case, packet)
        if ports:
            evidence.append(f"{where} listens on {name} {ports}")
        why = f"start the service on port {packet.dport}, or aim at a port that is listened on"
        proposals.append(Proposal(why, (inside(case, tool),), ()))
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
    return Proposal(f"send port {packet.dport} on to {target} (for a container engine: publish it with -p "
                    f"{packet.dport}:{port}/{name})", (inside(case, command),), (change,))


def overflow(case: Case) -> Finding:
    return Finding(f"The listening socket in {place(case)} is full: the application does not accept connections fast enough.",
                   (case.drop.text, f"TcpExtListenOverflows grows: {inside(case, 'nstat -az TcpExtListenOverflows')}"),
                   (Proposal("make the application accept faster, or raise its backlog and net.core.somaxconn",
                             (inside(case, "ss -lnt"), inside(case, "sysctl net.core.somaxconn")), ()),))


def no_connection(case: Case) -> Finding:
    again = Proposal("the connection is gone on this side (restarted, or timed out); open a new one", (), ())
    return Finding("", (case.drop.text,), (again,))
