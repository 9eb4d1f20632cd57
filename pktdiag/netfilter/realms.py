"""The routing realm that rules look at: dst->tclassid."""

from __future__ import annotations

from pktdiag.model.kernel import AF_INET
from pktdiag.model.view import NamespaceView


def realm(ns: NamespaceView, family: int) -> int | None:
    """rt_set_nexthop(), set_class_tag(), ip_route_input_slow() in net/ipv4/route.c put it together of the realms of the route, of the way
    back and of the policy rules that found them: 0 where no route and no rule of the namespace has any, None (not known) elsewhere.
    IPv6 routes have none."""
    if family != AF_INET:
        return 0
    rules = ns.route_rules(AF_INET)
    if any(rule.realm for rule in rules):
        return None
    tables = dict.fromkeys(rule.table for rule in rules if rule.table)
    return None if any(hop.realm for table in tables for route in ns.routes(AF_INET, table) for hop in route.nexthops) else 0
