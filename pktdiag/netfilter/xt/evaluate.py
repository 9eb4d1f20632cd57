"""Runs a legacy table at a hook as ipt_do_table does (net/ipv4/netfilter/ip_tables.c; ip6_tables.c and arp_tables.c alike).

The counter of an entry moves when its head and all its matches hold, before its target runs. RETURN from a base chain
goes to the chain's policy entry, which counts as an entry of its own; so does the RETURN that closes every user chain.
"""

from __future__ import annotations

from pktdiag.model.kernel import AF_INET, AF_INET6, NFPROTO_ARP, NFPROTO_BRIDGE
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import Clause, RuleRef
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult, Tri, Unknown
from pktdiag.netfilter.xt.base import HOTDROP
from pktdiag.netfilter.xt.blob import RETURN, VERDICTS, MalformedTableError, Rule, Table
from pktdiag.netfilter.xt.compat import DRAWS, HARMLESS_TARGETS, evaluate_match, evaluate_target, render_match
from pktdiag.netfilter.xt.head import clause_matches, head_matches
from pktdiag.netfilter.xt.render import head_clauses, render_rule

FAMILY_NAMES = {AF_INET: "ip", AF_INET6: "ip6", NFPROTO_ARP: "arp", NFPROTO_BRIDGE: "bridge"}
BACKENDS = {AF_INET: "iptables-legacy", AF_INET6: "iptables-legacy", NFPROTO_ARP: "arptables-legacy",
            NFPROTO_BRIDGE: "ebtables-legacy"}
TOOLS = {AF_INET: "iptables-legacy", AF_INET6: "ip6tables-legacy", NFPROTO_ARP: "arptables-legacy",
         NFPROTO_BRIDGE: "ebtables-legacy"}

_tables: dict[tuple[str, int, str], tuple[bytes, bytes, Table]] = {}
_TABLE_LIMIT = 64
_VISITS = 2_000_000
"""Entries looked at in one run before the table counts as broken; the kernel accepts no loops, a snapshot might hold one."""


def load_table(ns: NamespaceView, family: int, name: str) -> Table:
    """The table as the view gives it, cut once. Raises Unreadable, MalformedTableError."""
    info, entries = ns.xt_table(family, name)
    key = (ns.id, family, name)
    known = _tables.get(key)
    if known is not None and known[0] is info and known[1] is entries:
        return known[2]
    if len(_tables) >= _TABLE_LIMIT:
        _tables.clear()
    table = Table(family, info, entries)
    _tables[key] = (info, entries, table)
    return table


class Place(NamedTuple):
    """Where the evaluation stands: the entry to look at, and its chain."""

    offset: int
    chain: str
    start: int
    number: int
    """1-based position of the entry in its chain."""


def rule_ref(ns: NamespaceView, table: Table, place: Place, rule: Rule) -> RuleRef:
    """Names one entry; the policy entry has index 0."""
    tool, name = TOOLS[table.family], table.name
    if place.number:
        text = render_rule(table, place.chain, rule, ns)
        show = f"{tool} -t {name} -nvL {place.chain} {place.number}"
    else:
        text = f"-P {place.chain} {VERDICTS.get(rule.verdict or 0, 'DROP')}"
        show = f"{tool} -t {name} -nvL {place.chain}"
    return RuleRef(ns.id, BACKENDS[table.family], FAMILY_NAMES[table.family], name, place.chain, None, place.number, text, show,
                   rule.packets, rule.bytes)


def run_table(ctx: HookContext, table_name: str) -> HookResult:
    """What the table says at ``ctx.hook``. A table that cannot be read or decoded splits the walk."""
    family = NFPROTO_ARP if ctx.pf == NFPROTO_ARP else ctx.pf
    if family == NFPROTO_BRIDGE:
        from pktdiag.netfilter.xt.ebtables import run_ebtables

        return run_ebtables(ctx, table_name)
    try:
        table = load_table(ctx.ns, family, table_name)
        if not table.valid_hooks & 1 << ctx.hook:
            return ACCEPT
        return _Run(ctx, table).run()
    except Unreadable as error:
        why = f"{error.gap.what}: {error.gap.why}"
    except (MalformedTableError, RecursionError) as error:
        why = str(error)
    question = Unknown(f"the legacy table {table_name} of {ctx.ns.id}, which could not be read ({why}), lets the packet pass")
    if ctx.services.decide(question, (ctx.ns.id, family, table_name, ctx.hook)):
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", text=f"dropped by legacy table {table_name}, which could not be read",
                      cause="table-unreadable")


class _Run:
    """One run through one table."""

    def __init__(self, ctx: HookContext, table: Table) -> None:
        self.ctx, self.table = ctx, table

    def run(self) -> HookResult:
        ctx, table = self.ctx, self.table
        base = table.chain_names[ctx.hook]
        policy = Place(table.underflow[ctx.hook], base, table.hook_entry[ctx.hook], 0)
        place = Place(table.hook_entry[ctx.hook], base, table.hook_entry[ctx.hook], 1)
        stack: list[Place] = []
        ctx.skb.extra.pop(HOTDROP, None)
        for _ in range(_VISITS):
            packet = ctx.skb.packet
            beyond, passed = table.pass_over(place.offset, packet.src, packet.dst, packet.proto)
            if passed:
                place = Place(beyond, place.chain, place.start, place.number + passed)
            rule = table.rule(place.offset)
            if place.offset == policy.offset:
                place = policy
            after = Place(rule.next, place.chain, place.start, place.number + 1)
            matched = self._matches(rule, place)
            if ctx.skb.extra.pop(HOTDROP, None):
                return HookResult("drop", "NETFILTER_DROP", rule_ref(ctx.ns, table, place, rule),
                                  "a match found the packet malformed and dropped it", cause="match-hotdrop")
            if not matched:
                place = after
                continue
            verdict = rule.verdict
            if verdict == RETURN:
                if not (place.number and table.is_chain_end(rule)):
                    self._hit(rule, place)
                place = stack.pop() if stack else policy
                continue
            ref = self._hit(rule, place)
            if verdict is None:
                result = evaluate_target(*rule.target, ctx, ref)
                if isinstance(result, Unknown):
                    goes_on = ctx.services.decide(result, (ctx.ns.id, table.family, table.name, place.offset, "target"))
                    result = None if goes_on else HookResult("drop", "NETFILTER_DROP", ref, "dropped by a target pktdiag does not model",
                                                             cause="unknown-target")
                if result is None:
                    place = after
                elif isinstance(result, str):
                    place = stack.pop() if stack else policy
                else:
                    return result if result.rule is not None else result._replace(rule=ref)
            elif verdict < 0:
                return self._standard(verdict, place, ref)
            elif rule.no_target:
                place = after
            else:
                if not rule.goto:
                    stack.append(after)
                place = Place(verdict, table.chain_starting_at(verdict), verdict, 1)
        raise MalformedTableError("its chains form a loop")

    def _standard(self, verdict: int, place: Place, ref: RuleRef) -> HookResult:
        where = f"{place.chain} (table {self.table.name})"
        if verdict == -2:
            return HookResult("accept", rule=ref)
        if verdict == -4:
            return HookResult("queue", rule=ref, text=f"queued to a program by rule {place.number} of {where}")
        if place.number:
            return HookResult("drop", "NETFILTER_DROP", ref, f"dropped by rule {place.number} of {where}", cause="rule-drop")
        return HookResult("drop", "NETFILTER_DROP", ref, f"no rule of {where} accepted it and its policy is DROP",
                          cause=f"{place.chain.lower()}-policy-drop")

    # -- matching ------------------------------------------------------------------------------------------------------
    def _matches(self, rule: Rule, place: Place) -> bool:
        ctx, family = self.ctx, self.table.family
        if family == NFPROTO_ARP:
            from pktdiag.netfilter.xt.arp import arp_matches

            head: Tri = arp_matches(rule.head, ctx)
            if head is False:
                return False
            unknown = [head] if isinstance(head, Unknown) else []
        else:
            if not head_matches(rule.head, ctx, family):
                return False
            unknown = []
        fresh = False
        for number, (name, rev, data) in enumerate(rule.matches):
            result = evaluate_match(name, rev, data, ctx)
            if isinstance(result, Unknown):
                unknown.append(result)
                fresh = fresh or name in DRAWS
            elif not result:
                if number or head_clauses(self.table, rule):
                    self._near_miss(rule, place, number)
                return False
        return not unknown or self._decide(rule, place, unknown, fresh)

    def _decide(self, rule: Rule, place: Place, unknown: list[Unknown], fresh: bool) -> bool:
        ctx = self.ctx
        words = " and ".join(question.condition for question in unknown)
        if self._harmless(rule, set()):
            ref = rule_ref(ctx.ns, self.table, place, rule)
            ctx.services.uncertain(ref)
            ctx.services.note(ctx, f"rule {place.number} of {place.chain} (table {self.table.name}) may match, which would change "
                                   f"nothing on the way: it depends on whether {words}",
                              ref, self._clauses(rule))
            return False
        condition = f"{words} (rule {place.number} of {place.chain}, table {self.table.name})"
        key = None if fresh else (ctx.ns.id, self.table.family, self.table.name, place.offset, words)
        return ctx.services.decide(Unknown(condition), key)

    def _harmless(self, rule: Rule, seen: set[int]) -> bool:
        """Whether matching or not leads to the same: only logging or counting behind it, in called chains too."""
        if rule.verdict is None:
            return rule.target.name in HARMLESS_TARGETS
        if rule.no_target:
            return True
        if rule.verdict < 0 or rule.goto:
            return False
        offset = rule.verdict
        if offset in seen:
            return True
        seen.add(offset)
        for _ in range(64):
            inner = self.table.rule(offset)
            if self.table.is_chain_end(inner):
                return True
            if inner.verdict != RETURN and not self._harmless(inner, seen):
                return False
            offset = inner.next
        return False

    # -- telling -------------------------------------------------------------------------------------------------------
    def _clauses(self, rule: Rule, failed: int | None = None) -> tuple[Clause, ...]:
        """Every part of the rule; ``failed``: the number of the first match that did not hold."""
        ctx, family = self.ctx, self.table.family
        clauses = []
        for option, text in head_clauses(self.table, rule):
            clauses.append(Clause(text, True if family == NFPROTO_ARP else clause_matches(rule.head, option, ctx, family)))
        for number, item in enumerate(rule.matches):
            state: bool | None = True if failed is None or number < failed else False if number == failed else None
            clauses.append(Clause(render_match(*item, family, ctx.ns), state))
        return tuple(clauses)

    def _near_miss(self, rule: Rule, place: Place, failed: int) -> None:
        ctx = self.ctx
        missing = render_match(*rule.matches[failed], self.table.family, ctx.ns)
        ctx.services.note(ctx, f"rule {place.number} of {place.chain} (table {self.table.name}) does not match: {missing}",
                          rule_ref(ctx.ns, self.table, place, rule), self._clauses(rule, failed))

    def _hit(self, rule: Rule, place: Place) -> RuleRef:
        ctx = self.ctx
        ref = rule_ref(ctx.ns, self.table, place, rule)
        ctx.services.hit(ref)
        what = f"rule {place.number}" if place.number else "the policy"
        ctx.services.note(ctx, f"{what} of {place.chain} (table {self.table.name}) matches: {_consequence(ref)}", ref,
                          self._clauses(rule) if place.number else ())
        return ref


def _consequence(ref: RuleRef) -> str:
    for sign in (" -j ", " -g "):
        if sign in ref.text:
            return ref.text.rsplit(sign, 1)[1]
    return ref.text.rsplit(" ", 1)[1] if ref.index == 0 else "counted"
