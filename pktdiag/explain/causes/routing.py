"""Routing said no: reverse path, martians, no route, a route that refuses."""

from __future__ import annotations

from pktdiag.explain.causes import engines, way
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, ip_tool, place, word
from pktdiag.explain.causes.words import at, capital, rejected, sentence
from pktdiag.explain.whatif.changes import AddRoute, Change, RemoveRoute, RemoveRouteRule, SetSysctl
from pktdiag.model.host import NextHop, Route
from pktdiag.model.packet import format_address, in_prefix

_RULE_ACTIONS = {6: "blackhole", 7: "unreachable", 8: "prohibit"}


def rp_filter(case: Case) -> Finding:
    """Strict reverse path filtering: the larger of conf.all and conf.DEVICE rules."""
    return reverse_path(case, f"{'the answer' if case.is_reply else 'the packet'} from {format_address(case.packet.src)}")


def reverse_path(case: Case, what: str) -> Finding:
    dev, src = case.drop.device, format_address(case.packet.src)
    values = {name: case.ns.sysctl(f"net/ipv4/conf/{name}/rp_filter") for name in ("all", dev)}
    evidence = [f"net.ipv4.conf.{name}.rp_filter={value} (the larger of the two counts): "
                + inside(case, f"sysctl net/ipv4/conf/{word(name)}/rp_filter") for name, value in values.items()]
    evidence.append(f"The way back to {src}: {inside(case, f'ip route get {src}')}")
    strict = max(int(value or 0) for value in values.values()) == 1
    if case.drop.stage == "arp":
        evidence.append("No SNMP counter moves for an ARP request, only in_martian_src (of the whole host): cat /proc/net/stat/rt_cache")
    why = case.drop.text.rsplit(": ", 1)[-1].rstrip(".")
    if strict and "no route" not in why:
        proposal = Proposal(f"Loosen reverse path filtering on {dev}, or give {src} a route through {dev} if it belongs there",
                            (inside(case, f"sysctl -w net/ipv4/conf/{word(dev)}/rp_filter=2"),),
                            (SetSysctl(case.ns.id, f"net/ipv4/conf/{dev}/rp_filter", "2"),))
    else:
        proposal = Proposal(f"Switch reverse path filtering off on {dev}, or add the route to {src} that is missing",
                            (inside(case, f"sysctl -w net/ipv4/conf/{word(dev)}/rp_filter=0 net/ipv4/conf/all/rp_filter=0"),),
                            tuple(SetSysctl(case.ns.id, f"net/ipv4/conf/{name}/rp_filter", "0") for name in (dev, "all")))
    summary = f"{'Strict r' if strict else 'R'}everse path filtering on {dev} {at(case)} drops {what}: {why}"
    return Finding(sentence(summary), tuple(evidence), (proposal,))


def martian(case: Case) -> Finding:
    """A source or destination that may not appear here; two of them have a switch."""
    dev = case.drop.device
    log = f"The kernel can log it: {inside(case, f'sysctl -w net/ipv4/conf/{word(dev)}/log_martians=1')}"
    own = any(item.local == case.packet.src for item in case.ns.addresses(case.packet.family))
    router = way.last_router(case, case.leg)
    if own and router is not None and router.ns.id != case.ns.id:
        # Published by DNAT and reached from inside: without masquerade the container gets a packet from itself.
        summary = (f"{capital(place(case))} gets the packet back with its own address {format_address(case.packet.src)} as the source, and "
                   f"drops it: {place(case, router.ns)} translates the destination, but does not masquerade the source.")
        proposal = way.masquerade(case, router, case.packet, "Masquerade what a container sends to itself through its published address",
                                  exact=True)
        return Finding(summary, (log,), (proposal,))
    summary = sentence(f"{capital(rejected(case))} {at(case)}: {case.drop.text}")
    if "accept_local" in case.drop.text:
        path, value, why = f"net/ipv4/conf/{dev}/accept_local", "1", "Accept this host's own addresses as sources there"
    elif "route_localnet" in case.drop.text:
        path, value, why = f"net/ipv4/conf/{dev}/route_localnet", "1", "Let 127.0.0.0/8 be routed there"
    else:
        return Finding(summary, (log,), ())
    proposal = Proposal(why, (inside(case, f"sysctl -w {word(path)}={value}"),), (SetSysctl(case.ns.id, path, value),))
    return Finding(summary, (log,), (proposal,))


def no_route(case: Case) -> Finding:
    """No route matches; an answer without one is a request whose source nobody translated."""
    if case.drop.text.startswith("policy rule ") or "says so:" in case.drop.text:
        return refusing_route(case)
    dst = format_address(case.packet.dst)
    evidence = (inside(case, f"{ip_tool(case)} route get {dst}"), inside(case, f"{ip_tool(case)} rule"))
    if case.is_reply:
        return _answer_without_route(case, dst, evidence)
    summary = sentence(f"{capital(rejected(case))}: {place(case)} has no route to {dst}")
    proposal = Proposal(f"Add the missing route to {dst}, or a default route", (inside(case, f"{ip_tool(case)} route"),), ())
    return Finding(summary, evidence, (proposal,))


def _answer_without_route(case: Case, dst: str, evidence: tuple[str, ...]) -> Finding:
    summary = f"The answer is lost: {place(case)} has no route to {dst}"
    proposals = []
    router = way.last_router(case, case.trace.request)
    if router is not None and case.trace.request.packet.src == case.packet.dst:
        summary += f", and {place(case, router.ns)} forwards with that source address, without a masquerade"
        proposals.append(way.masquerade(case, router, case.trace.request.packet,
                                        f"Masquerade what {place(case, router.ns)} forwards through {router.out.name}"))
        back = _route_back(case, router)
        if back is not None:
            gateway, ifindex = back
            route = Route(254, 1, case.packet.dst, len(case.packet.dst) * 8, 0, 0, 0, 4, None, (NextHop(ifindex, gateway, 1, 0),), None)
            proposals.append(Proposal(f"Tell {place(case)} the way back",
                                      (inside(case, f"{ip_tool(case)} route add {dst} via {format_address(gateway)}"),),
                                      (AddRoute(case.ns.id, case.packet.family, route),)))
        gone = engines.flushed(case, router.ns)
        if gone is not None:
            summary += f"; {gone.text}"
            proposals.insert(0, gone.proposal)
    return Finding(sentence(summary), evidence, tuple(proposals))


def _route_back(case: Case, router: way.Router) -> tuple[bytes, int] | None:
    """(gateway, ifindex) by which the lost answer's namespace reaches the router."""
    ours = [item.local for item in router.ns.addresses(case.packet.family) if item.ifindex == router.out.ifindex]
    for item in case.ns.addresses(case.packet.family):
        for gateway in ours:
            if in_prefix(gateway, item.local, item.prefixlen) and gateway != item.local:
                return gateway, item.ifindex
    return None


def refusing_route(case: Case) -> Finding:
    """blackhole, unreachable, prohibit: a route, or a policy rule."""
    dst, text = format_address(case.packet.dst), case.drop.text.rstrip(".")
    lost = "The answer is " + rejected(case) if case.is_reply else capital(rejected(case))
    if text.startswith("policy rule "):
        priority = int(text.split()[2])
        rule = next((item for item in case.ns.route_rules(case.packet.family)
                     if item.priority == priority and item.action in _RULE_ACTIONS), None)
        kind = _RULE_ACTIONS[rule.action] if rule is not None else "refusing"
        proposals = (Proposal("Delete the policy rule, if it is not meant",
                              (inside(case, f"{ip_tool(case)} rule del priority {priority}"),),
                              (RemoveRouteRule(case.ns.id, case.packet.family, priority),)),)
        return Finding(sentence(f"{lost} {at(case)} by policy rule {priority} ({kind}), which refuses {dst}"),
                       (f"The rule: {inside(case, f'{ip_tool(case)} rule show priority {priority}')}",), proposals)
    words = text.split("says so: ", 1)[-1]
    found = _find(case, words.split()[0])
    changes: tuple[Change, ...] = (RemoveRoute(case.ns.id, case.packet.family, found),) if found is not None else ()
    return Finding(sentence(f"{lost} {at(case)} by the route {words}"),
                   (f"The route: {inside(case, f'{ip_tool(case)} route show table all match {dst}')}",),
                   (Proposal("Delete the route, if it is not meant", (inside(case, f"{ip_tool(case)} route del {words}"),), changes),))


_TYPES = {6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}


def _find(case: Case, kind: str) -> Route | None:
    """The longest route of that type over the destination."""
    tables = dict.fromkeys(rule.table for rule in case.ns.route_rules(case.packet.family) if rule.table)
    found = [route for table in tables for route in case.ns.routes(case.packet.family, table)
             if _TYPES.get(route.type) == kind and in_prefix(case.packet.dst, route.dst, route.prefixlen)]
    return max(found, key=lambda route: route.prefixlen, default=None)


__all__ = ["martian", "no_route", "refusing_route", "reverse_path", "rp_filter"]
