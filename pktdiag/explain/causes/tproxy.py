"""A packet that TPROXY gave to a socket here, and that the routes send elsewhere."""

from __future__ import annotations

from itertools import count

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, ip_tool, place, word
from pktdiag.explain.causes.words import rule_name, sentence, without_counter
from pktdiag.explain.whatif.changes import AddRoute, AddRouteRule, Change
from pktdiag.model.host import NextHop, Route, RouteRule
from pktdiag.model.kernel import RT_SCOPE_HOST, RTN_LOCAL
from pktdiag.model.packet import format_address
from pktdiag.model.trace import RuleRef
from pktdiag.walk.fib import FR_ACT_TO_TBL, LOOPBACK_IFINDEX

RTPROT_BOOT = 3
RESERVED = (253, 254, 255)
"""The tables default, main and local."""
_PLAIN = RouteRule(0, FR_ACT_TO_TBL, 0, None, 0, None, 0, None, None, 0, 0, 0, False, None, None, None, None, None, None, None, False)
"""A rule that asks for nothing."""
MARK = 1
"""For a rule that sets none."""


def rule_of(case: Case) -> RuleRef | None:
    """The rule that gave it a socket where it was lost."""
    return next((rule for rule in case.leg.rules_hit[::-1] if rule.netns == case.ns.id and (
        " -j TPROXY " in f"{rule.text} " or " tproxy " in f" {rule.text} ")), None)


def sent_on(case: Case) -> Finding:
    """The policy route that TPROXY needs is missing (Documentation/networking/tproxy.rst)."""
    rule, packet, mark = rule_of(case), case.packet, case.leg.mark or 0
    ip = ip_tool(case)
    who = rule_name(rule) if rule is not None else "A TPROXY rule"
    summary = (f"{who} hands the packet to a socket of {place(case)}, but no policy route delivers it there: the routes send it on, and "
               "what has a socket is not forwarded")
    marked = f" mark {mark:#x}" if mark else ""
    asked = f"{ip} route get {format_address(packet.dst)} from {format_address(packet.src)} iif {word(case.drop.device)}{marked}"
    evidence = (f"Its way by the routes, which has to be local: {inside(case, asked)}",
                f"The policy rules: {inside(case, f'{ip} rule')}",
                *((f"The rule: {without_counter(rule.text)}",) if rule is not None else ()))
    table, known = _table(case, mark or MARK)
    commands = [] if known else [inside(case, f"{ip} rule add fwmark {mark or MARK:#x} lookup {table}")]
    commands.append(inside(case, f"{ip} route add local default dev lo table {table}"))
    if not mark:
        why = (f"Let the TPROXY rule set a mark ({MARK:#x}: --tproxy-mark {MARK:#x}/{MARK:#x}, nft: meta mark set {MARK:#x}), and deliver "
               "what bears it here")
        return Finding(sentence(summary), evidence, (Proposal(why, tuple(commands), ()),))
    width = len(packet.dst)
    route = Route(table, RTN_LOCAL, bytes(width), 0, 0, 0 if width == 4 else 1024, RT_SCOPE_HOST, RTPROT_BOOT, None,
                  (NextHop(LOOPBACK_IFINDEX, None, 1, 0),), None)
    changes: list[Change] = [] if known else [AddRouteRule(case.ns.id, packet.family, _by_mark(case, mark, table))]
    changes.append(AddRoute(case.ns.id, packet.family, route))
    return Finding(sentence(summary), evidence,
                   (Proposal(f"Deliver here what bears the mark {mark:#x} of the TPROXY rule", tuple(commands), tuple(changes)),))


def _table(case: Case, mark: int) -> tuple[int, bool]:
    """The table that packets of this mark are looked up in, and whether some policy rule says so already; else one that is empty."""
    family = case.packet.family
    rules = case.ns.route_rules(family)
    for rule in rules:
        plain = rule._replace(priority=0, table=0, iif=None, fwmark=0, fwmask=0) == _PLAIN
        if plain and rule.fwmask and mark & rule.fwmask == rule.fwmark and rule.iif in (None, case.drop.device):
            return rule.table, True
    used = {*RESERVED, *(rule.table for rule in rules)}
    return next(number for number in count(100) if number not in used and not case.ns.routes(family, number)), False


def _by_mark(case: Case, mark: int, table: int) -> RouteRule:
    """As `ip rule add` makes it: ahead of the second rule there is (fib_default_rule_pref)."""
    there = case.ns.route_rules(case.packet.family)
    priority = there[1].priority - 1 if len(there) > 1 and there[1].priority else 0
    return _PLAIN._replace(priority=priority, table=table, fwmark=mark, fwmask=0xFFFFFFFF)
