"""What lies on the packet's way: the router that forwarded it last, and translating the source address there."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Proposal, inside, word
from pktdiag.explain.whatif import nft_rule
from pktdiag.explain.whatif.changes import AddNatChain
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, PROTO_NAMES
from pktdiag.model.packet import Packet, format_address, in_prefix
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import Leg
from pktdiag.model.view import NamespaceView, Unreadable


class Router(NamedTuple):
    """A namespace that forwarded the request, and the device it left by."""

    ns: NamespaceView
    out: Link


def last_router(case: Case, leg: Leg) -> Router | None:
    """The last namespace that routed the packet on without being its end, or that led it elsewhere while bridging it (DNAT
    under br_netfilter)."""
    found = None
    for step in leg.steps:
        if step.text.startswith("Destination NAT:") and step.stage == "prerouting":
            ns = case.host.namespace(int(step.netns[5:-1]))
            bridge = ns.link_named(step.device)
            found = Router(ns, bridge) if bridge is not None and bridge.kind == "bridge" else found
        route = (step.detail or {}).get("route")
        if isinstance(route, dict) and route.get("kind") == "unicast" and step.stage == "routing" and step.device:
            ns = case.host.namespace(int(step.netns[5:-1]))
            out = ns.link(route["oif"]) if route.get("oif") else None
            if out is not None:
                found = Router(ns, out)
    return found


def nat_tool(ns: NamespaceView, family: int) -> str:
    """The iptables whose nat table is in use there; plain ``iptables`` where neither is."""
    tool = "iptables" if family == AF_INET else "ip6tables"
    try:
        if "nat" in ns.xt_tables(family):
            return f"{tool}-legacy"
    except Unreadable:
        pass
    return tool


def masquerade(case: Case, router: Router, packet: Packet, why: str, *, exact: bool = False) -> Proposal:
    """``packet`` leaves the router with the router's own address. ``exact``: only this flow, as for hairpin traffic."""
    if exact:
        ports = f" --dport {packet.dport}" if packet.has_ports else ""
        proto = PROTO_NAMES.get(packet.proto, str(packet.proto))
        selector = f"-s {format_address(packet.src)} -d {format_address(packet.dst)} -p {proto}{ports}"
    else:
        selector = f"-s {_network(router.ns, packet)} -o {word(router.out.name)}"
    expressions = nft_rule.match_address(packet.src, destination=False)
    if exact:
        expressions += nft_rule.match_address(packet.dst, destination=True)
    expressions += nft_rule.match_device(router.out.name, out=True) + nft_rule.counter() + nft_rule.masquerade()
    payload = nft_rule.rule(packet.family, nft_rule.TABLE_NAME, nft_rule.chain_name(NF_INET_POST_ROUTING), expressions)
    change = AddNatChain(router.ns.id, packet.family, NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC - 1, (payload,))
    command = f"{nat_tool(router.ns, packet.family)} -t nat -I POSTROUTING {selector} -j MASQUERADE"
    return Proposal(why, (inside(case, command, router.ns),), (change,))


def _network(ns: NamespaceView, packet: Packet) -> str:
    """The network of the source address, where the router is in it; else the address."""
    for item in ns.addresses(packet.family):
        if in_prefix(packet.src, item.local, item.prefixlen):
            bits = len(item.local) * 8
            number = int.from_bytes(item.local, "big") >> (bits - item.prefixlen) << (bits - item.prefixlen)
            return f"{format_address(number.to_bytes(len(item.local), 'big'))}/{item.prefixlen}"
    return format_address(packet.src)
