"""The forwarding information base: policy rules and longest-prefix match, for both families. No validation, no output
decisions: those are ``route``.

Sources: net/core/fib_rules.c (fib_rules_lookup, fib_rule_match), net/ipv4/fib_rules.c (fib4_rule_match, fib4_rule_action,
fib4_rule_suppress), net/ipv4/fib_trie.c (fib_table_lookup, fib_lookup_good_nhc), net/ipv6/fib6_rules.c,
net/ipv6/route.c (fib6_table_lookup, rt6_select, find_rr_leaf).
"""

from __future__ import annotations

from pktdiag.model.host import NextHop, Route, RouteRule
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    NUD_FAILED,
    ROUTE_TYPE_NAMES,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    RTN_BLACKHOLE,
    RTN_PROHIBIT,
    RTN_THROW,
    RTN_UNREACHABLE,
    RTNH_F_DEAD,
    RTNH_F_LINKDOWN,
)
from pktdiag.model.packet import format_address, in_prefix
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import OWNER_ASSUMED, Unknown
from pktdiag.walk.state import Walk

LOOPBACK_IFINDEX = 1

FR_ACT_TO_TBL, FR_ACT_GOTO, FR_ACT_NOP, FR_ACT_BLACKHOLE, FR_ACT_UNREACHABLE, FR_ACT_PROHIBIT = 1, 2, 3, 6, 7, 8
_ACTION_ERRORS = {FR_ACT_BLACKHOLE: "EINVAL", FR_ACT_UNREACHABLE: "ENETUNREACH", FR_ACT_PROHIBIT: "EACCES"}
# fib_props[].error, net/ipv4/fib_semantics.c
_TYPE_ERRORS = {RTN_BLACKHOLE: "EINVAL", RTN_UNREACHABLE: "EHOSTUNREACH", RTN_PROHIBIT: "EACCES", RTN_THROW: "EAGAIN"}
# ip6_rt_type_to_error: the IPv6 spelling differs for unreachable's default only through ENETUNREACH of the null entry
_TYPE_ERRORS6 = {RTN_BLACKHOLE: "EINVAL", RTN_UNREACHABLE: "EHOSTUNREACH", RTN_PROHIBIT: "EACCES", RTN_THROW: "EAGAIN"}


class Flow(NamedTuple):
    """What a lookup is made with (struct flowi4 / flowi6)."""

    family: int
    dst: bytes
    src: bytes | None
    """None or zeroes: not chosen yet."""
    iif: int
    """Interface it came in on; LOOPBACK_IFINDEX for local output."""
    oif: int
    mark: int
    tos: int
    """DS field byte; rules and routes compare its DSCP part."""
    proto: int
    sport: int
    dport: int
    uid: int
    scope: int = 0
    ignore_linkstate: bool = False


class FibMatch(NamedTuple):
    """The outcome of a lookup."""

    error: str | None
    """errno name: "ENETUNREACH" (nothing matched), "EINVAL" (blackhole), "EHOSTUNREACH" (unreachable), "EACCES" (prohibit)."""
    type: int
    route: Route | None
    nexthop: NextHop | None
    rule: RouteRule | None

    @property
    def ok(self) -> bool:
        return self.error is None


NO_ROUTE = FibMatch("ENETUNREACH", RTN_UNREACHABLE, None, None, None)


def _class_of(flow: Flow) -> int:
    """fib_dscp_masked_match(): IPv4 compares without the three bits of precedence (IPTOS_RT_MASK); fib6_rule_match() with them."""
    return flow.tos & 0x1C if flow.family == AF_INET else flow.tos


def lookup(walk: Walk, ns: NamespaceView, flow: Flow) -> FibMatch:
    """fib_lookup() / fib6_lookup(): policy rules in order, then the tables they name."""
    rules = ns.route_rules(flow.family)
    if not rules:
        # Without CONFIG_IP_MULTIPLE_TABLES, or a namespace that answers no RTM_GETRULE: local, then main.
        for table in (RT_TABLE_LOCAL, RT_TABLE_MAIN):
            found = _table_lookup(walk, ns, flow, table, None)
            if found is not None:
                return found
        return NO_ROUTE
    jump: int | None = None
    for rule in rules:
        if jump is not None and rule.priority < jump:
            continue
        jump = None
        if not _rule_matches(walk, ns, rule, flow):
            continue
        if rule.action == FR_ACT_GOTO:
            jump = rule.goto
            continue
        if rule.action == FR_ACT_NOP:
            continue
        if rule.action in _ACTION_ERRORS:
            return FibMatch(_ACTION_ERRORS[rule.action], RTN_UNREACHABLE, None, None, rule)
        found = _table_lookup(walk, ns, flow, rule.table, rule)
        if found is None or _suppressed(ns, rule, found):
            continue
        return found
    return NO_ROUTE


def _rule_matches(walk: Walk, ns: NamespaceView, rule: RouteRule, flow: Flow) -> bool:
    matched = _selectors_match(ns, rule, flow)
    if rule.uid_range and flow.iif == LOOPBACK_IFINDEX and not walk.question.owner_told:
        walk.assume(OWNER_ASSUMED)
    if matched and rule.unknown:
        names = ", ".join(rule.unknown)
        matched = walk.decide(Unknown(f"policy rule {rule.priority} matches ({names} not modelled)"), ("fib-rule", ns.id, rule))
    return matched != rule.invert


def _selectors_match(ns: NamespaceView, rule: RouteRule, flow: Flow) -> bool:
    if rule.iif is not None and not _same_device(ns, rule.iif, flow.iif):
        return False
    if rule.oif is not None and not _same_device(ns, rule.oif, flow.oif):
        return False
    if (rule.fwmark ^ flow.mark) & rule.fwmask:
        return False
    if rule.tun_id or rule.l3mdev:
        return False
    if rule.uid_range and not rule.uid_range[0] <= flow.uid <= rule.uid_range[1]:
        return False
    source = flow.src if flow.src is not None else bytes(len(flow.dst))
    if rule.src is not None and rule.srclen and not in_prefix(source, rule.src, rule.srclen):
        return False
    if rule.dst is not None and rule.dstlen and not in_prefix(flow.dst, rule.dst, rule.dstlen):
        return False
    if rule.tos and (rule.tos ^ _class_of(flow)) & 0xFC:
        return False
    if rule.dscp is not None and rule.dscp != flow.tos >> 2:
        return False
    if rule.ip_proto is not None and rule.ip_proto != flow.proto:
        return False
    if rule.sport and not rule.sport[0] <= flow.sport <= rule.sport[1]:
        return False
    return not (rule.dport and not rule.dport[0] <= flow.dport <= rule.dport[1])


def _same_device(ns: NamespaceView, name: str, ifindex: int) -> bool:
    # A rule naming a device that does not exist is detached (ifindex -1) and matches nothing.
    link = ns.link_named(name)
    return link is not None and link.ifindex == ifindex


def _suppressed(ns: NamespaceView, rule: RouteRule, found: FibMatch) -> bool:
    """fib4_rule_suppress(): a too general route, or one out of a suppressed device group, is as if not found."""
    if found.route is None:
        return False
    if rule.suppress_prefixlength is not None and found.route.prefixlen <= rule.suppress_prefixlength:
        return True
    if rule.suppress_ifgroup is not None and found.nexthop is not None and found.nexthop.ifindex:
        link = ns.link(found.nexthop.ifindex)
        return link is not None and link.group == rule.suppress_ifgroup
    return False


def _table_lookup(walk: Walk, ns: NamespaceView, flow: Flow, table: int, rule: RouteRule | None) -> FibMatch | None:
    """One table; None: nothing there for it (or a throw route): the next rule is asked."""
    for route in matching_routes(ns, flow, table):
        if flow.family == AF_INET:
            if route.tos and (route.tos ^ _class_of(flow)) & 0xFC:
                continue
            if route.scope < flow.scope:
                continue
        elif route.srclen and (flow.src is None or route.src is None or not in_prefix(flow.src, route.src, route.srclen)):
            continue
        error = (_TYPE_ERRORS if flow.family == AF_INET else _TYPE_ERRORS6).get(route.type)
        if error == "EAGAIN":
            return None
        if error:
            return FibMatch(error, route.type, route, None, rule)
        usable = [hop for hop in route.nexthops if _usable(ns, hop, flow)]
        if not usable:
            continue
        return FibMatch(None, route.type, route, _select(walk, ns, flow, route, usable), rule)
    return None


def matching_routes(ns: NamespaceView, flow: Flow, table: int) -> list[Route]:
    """Routes of a table that cover the destination: longest prefix first, then as the kernel keeps them
    (IPv4: TOS, then metric, as dumped; IPv6: metric)."""
    value = int.from_bytes(flow.dst, "big")
    bits = len(flow.dst) * 8
    found = [route for route in ns.routes(flow.family, table)
             if value >> (bits - route.prefixlen) == int.from_bytes(route.dst, "big") >> (bits - route.prefixlen)]
    if flow.family == AF_INET6:
        found.sort(key=lambda route: (-route.prefixlen, -route.srclen, route.priority))
    else:
        found.sort(key=lambda route: -route.prefixlen)
    return found


def _usable(ns: NamespaceView, hop: NextHop, flow: Flow) -> bool:
    """fib_lookup_good_nhc(): dead and, where the device asks for it, carrier-less next hops are passed over."""
    if hop.flags & RTNH_F_DEAD:
        return False
    if hop.ifindex is not None and hop.flags & RTNH_F_LINKDOWN and not flow.ignore_linkstate and \
            _ignores_linkdown(ns, flow.family, hop.ifindex):
        return False
    return not (flow.oif and hop.ifindex != flow.oif)


def _ignores_linkdown(ns: NamespaceView, family: int, ifindex: int) -> bool:
    link = ns.link(ifindex)
    if link is None:
        return False
    base = "ipv4" if family == AF_INET else "ipv6"
    own = ns.sysctl(f"net/{base}/conf/{link.name}/ignore_routes_with_linkdown")
    everyone = ns.sysctl(f"net/{base}/conf/all/ignore_routes_with_linkdown") if family == AF_INET else "0"
    return own == "1" or everyone == "1"


def _select(walk: Walk, ns: NamespaceView, flow: Flow, route: Route, usable: list[NextHop]) -> NextHop:
    """fib_select_multipath(): the hash's key is random per boot, so which of several next hops is unknowable."""
    if len(usable) == 1:
        return usable[0]
    alive = usable
    if flow.family == AF_INET6 or ns.sysctl("net/ipv4/fib_multipath_use_neigh") == "1":
        alive = [hop for hop in usable if not _failed(ns, flow.family, hop)] or usable
    where = f"{format_address(route.dst)}/{route.prefixlen}"
    for hop in alive[:-1]:
        via = format_address(hop.gateway) if hop.gateway else f"ifindex {hop.ifindex}"
        if walk.decide(Unknown(f"the multipath route {where} picks the next hop {via} for this flow"),
                       ("multipath", ns.id, route.table, route.dst, route.prefixlen, hop.ifindex, hop.gateway, flow.src, flow.dst)):
            return hop
    return alive[-1]


def _failed(ns: NamespaceView, family: int, hop: NextHop) -> bool:
    if hop.gateway is None or hop.ifindex is None:
        return False
    found = ns.neighbour(family, hop.ifindex, hop.gateway, False)
    return found is not None and bool(found.state & NUD_FAILED)


def describe(match: FibMatch) -> str:
    """``ip route`` style text of what was found."""
    route = match.route
    if route is None:
        if match.rule is not None:
            return f"policy rule {match.rule.priority}"
        return "no route"
    target = "default" if not route.prefixlen else f"{format_address(route.dst)}/{route.prefixlen}"
    words = [target] if route.type == 1 else [ROUTE_TYPE_NAMES[route.type], target]
    if match.nexthop is not None and match.nexthop.gateway is not None:
        words += ["via", format_address(match.nexthop.gateway)]
    if route.table != RT_TABLE_MAIN:
        words += ["table", "local" if route.table == RT_TABLE_LOCAL else str(route.table)]
    if route.priority:
        words += ["metric", str(route.priority)]
    return " ".join(words)


__all__ = ["LOOPBACK_IFINDEX", "NO_ROUTE", "FibMatch", "Flow", "describe", "lookup", "matching_routes"]
