"""Runs a base chain over a packet: rules, jumps, gotos, returns, policy. net/netfilter/nf_tables_core.c: nft_do_chain"""

from __future__ import annotations

from pktdiag.model.kernel import HOOK_NAMES
from pktdiag.model.trace import Clause, RuleRef
from pktdiag.netfilter.context import HookContext, HookResult, Unknown
from pktdiag.netfilter.nft import verdict as verdicts
from pktdiag.netfilter.nft.exprs.counter import Counter
from pktdiag.netfilter.nft.load import MANY, ChainRules, Ruleset, ruleset
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.rule import FAMILY_NAMES, Rule
from pktdiag.netfilter.nft.ruled_out import RuledOut
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.tables import BaseChain
from pktdiag.netfilter.nft.verdict import Verdict

JUMP_STACK_SIZE = 16
NOWHERE = 1 << 62
"""A position behind the end of any chain."""
EFFECT_UNKNOWN = frozenset(("UndecodedExpr", "Target"))
"""What these would do is not known either: there is no going on without deciding."""

NEAR_MISSES = 12
"""Rules noted per base chain although they do not match, because the beginning of them does. So many are looked at twice."""


def run_base_chain(ctx: HookContext, chain: BaseChain) -> HookResult:
    """What the chain decides of the packet. Raises Unreadable where rules or sets cannot be read."""
    rules = ruleset(ctx.ns)
    run = Run(ctx, chain.family, chain.table, rules.sets(chain.family))
    return _Walk(run, chain, rules).walk()


class _Walk:
    """One nft_do_chain."""

    def __init__(self, run: Run, chain: BaseChain, rules: Ruleset) -> None:
        self.run, self.chain, self.rules = run, chain, rules
        self.regs = Registers()
        self.ruled_out = RuledOut(self.regs, run)
        self.near_misses = 0

    def walk(self) -> HookResult:
        chain, rules = self.chain, self.rules
        stack: list[tuple[ChainRules, int]] = []
        self.run.chain = chain.name
        ruled_out = self.ruled_out
        current, position = rules.rules(chain.family, chain.table, chain.name), 0
        while True:
            if ruled_out.pattern is not None:
                position = ruled_out.skip(current.ready, position)
            try:
                rule = current[position]
            except IndexError:
                if not stack:
                    return self.policy()
                current, position = stack.pop()
                continue
            position += 1
            failed = ruled_out.by_expression(rule)
            if 0 <= failed < 2 or (failed >= 0 and self.near_misses >= NEAR_MISSES):
                if position > MANY:
                    ruled_out.learn(rule)
                continue
            verdict = self.rule(rule)
            ruled_out.forget()  # it may have changed the packet
            if verdict is None:
                continue
            code = verdict.code
            if code in (verdicts.NFT_JUMP, verdicts.NFT_GOTO):
                if code == verdicts.NFT_JUMP:
                    if len(stack) >= JUMP_STACK_SIZE:
                        return HookResult("drop", "NETFILTER_DROP", rule.ref(self.run.ns), "the jump stack is full")
                    stack.append((current, position))
                current, position = rules.rules(chain.family, chain.table, verdict.chain), 0
                self.run.chain = verdict.chain
            elif code == verdicts.NFT_RETURN:
                position = NOWHERE
            else:
                return self.end(rule, verdict)

    def rule(self, rule: Rule) -> Verdict | None:
        """Evaluates one rule; None goes on with the next one.

        What cannot be known is put off until an expression acts on it: in front of nothing but counters and logs, or of
        a match that fails anyway, it decides nothing.
        """
        run, regs = self.run, self.regs
        run.rule = rule
        if run.met:
            run.met = []
        pending: list[Doubt] = []
        counted = hit = False
        index = -1
        for expression in rule.expressions():
            index += 1
            if pending and expression.acts():
                if not self.decided(rule, pending):
                    return None
                pending = []
                if counted and not hit:
                    self.hit(rule)
                    hit = True
            outcome = expression.evaluate(regs, run) if not (pending and _logs(expression)) else None
            if outcome is None:
                if expression.__class__ is Counter:
                    counted = True
                    if not pending and not hit:
                        self.hit(rule)
                        hit = True
                continue
            if isinstance(outcome, Doubt):
                pending.append(outcome)
                if expression.__class__.__name__ in EFFECT_UNKNOWN:
                    if not self.decided(rule, pending):
                        return None
                    pending = []
                continue
            if outcome.code == verdicts.NFT_BREAK:
                if counted and not hit:
                    run.services.uncertain(rule.ref(run.ns))
                self.unmatched(rule, index, hit)
                return None
            # A statement that gave up (ct expectation) may stand in front of the rule's counter.
            self.matched(rule, hit or counted or any(each.__class__ is Counter for each in list(rule.expressions())[index + 1:]))
            return outcome
        if pending:
            self.undecided(rule, pending, hit)
        elif index >= 0:
            self.matched(rule, hit or counted)
        return None

    def decided(self, rule: Rule, pending: list[Doubt]) -> bool:
        """Splits the walk on what is pending; False: the rule does not match in this branch."""
        for each in pending:
            condition = Unknown(f"{each.unknown.condition} ({self.where(rule)})")
            key = None if each.key is None else ("nft", self.run.ns.id, each.key)
            if not self.run.services.decide(condition, key):
                return False
        return True

    def where(self, rule: Rule) -> str:
        return f"rule {rule.index} of {FAMILY_NAMES.get(rule.family, '?')} {rule.table} {rule.chain}"

    def hit(self, rule: Rule) -> None:
        self.run.services.hit(rule.ref(self.run.ns))

    def matched(self, rule: Rule, counted: bool) -> None:
        ref = rule.ref(self.run.ns)
        if not counted:
            self.run.services.hit(ref)
        if self.run.met:
            from pktdiag.netfilter.nft.render.set_text import elements_met

            words, detail = elements_met(self.run.ns, rule, self.run.met)
            self.run.services.note(self.run.ctx, f"{title(ref)} matches {words}", ref, self.clauses(rule, -1), detail)
        else:
            self.run.services.note(self.run.ctx, f"{title(ref)} matches", ref, self.clauses(rule, -1))

    def unmatched(self, rule: Rule, index: int, hit: bool) -> None:
        """Notes a rule of which at least the first clause matched."""
        if (index < 2 or self.near_misses >= NEAR_MISSES) and not hit:
            return
        self.near_misses += 1
        clauses = self.clauses(rule, index)
        if clauses and clauses[0].matched is False and not hit:
            return
        ref = rule.ref(self.run.ns)
        self.run.services.note(self.run.ctx, f"{title(ref)} does not match", ref, clauses)

    def undecided(self, rule: Rule, pending: list[Doubt], hit: bool) -> None:
        ref = rule.ref(self.run.ns)
        if not hit:
            self.run.services.uncertain(ref)
        doubts = " and ".join(each.unknown.condition for each in pending)
        self.run.services.note(self.run.ctx, f"{title(ref)} matches only if {doubts}; either way it changes nothing", ref)

    def clauses(self, rule: Rule, failed: int) -> tuple[Clause, ...]:
        from pktdiag.netfilter.nft.render.reference import rule_clauses

        return rule_clauses(self.run.ns, rule, failed)

    def policy(self) -> HookResult:
        """The end of the base chain."""
        chain = self.chain
        from pktdiag.netfilter.nft.render.reference import policy_ref

        ref = policy_ref(self.run.ns, chain)
        self.run.services.hit(ref)
        if chain.policy == verdicts.NF_ACCEPT:
            return HookResult("accept", "", ref)
        hook = HOOK_NAMES[chain.hook] if chain.hook < len(HOOK_NAMES) else str(chain.hook)
        return HookResult("drop", "NETFILTER_DROP", ref, f"The policy of {title(ref)} is drop.", None, f"{hook}-policy-drop")

    def end(self, rule: Rule, verdict: Verdict) -> HookResult:
        """A verdict that leaves the chain."""
        ref = rule.ref(self.run.ns)
        if verdict.result is not None:
            result = verdict.result
            return result._replace(rule=ref, text=result.text or f"{title(ref)}: {ref.text}")
        code = verdict.code & 0xFF
        text = f"{title(ref)}: {ref.text}"
        if code == verdicts.NF_ACCEPT:
            return HookResult("accept", "", ref, text)
        if code == verdicts.NF_QUEUE:
            return HookResult("queue", "", ref, text)
        if code == verdicts.NF_STOLEN:
            return HookResult("stolen", "", ref, text)
        return HookResult("drop", "NETFILTER_DROP", ref, text, None, "rule-drop")


def _logs(expression: object) -> bool:
    """A log line that only may be written is not predicted."""
    return expression.__class__.__name__ == "Log"


def title(ref: RuleRef) -> str:
    """``nft rule 3 of ip filter FORWARD (handle 12)`` or ``policy of …``."""
    place = f"{ref.family} {ref.table} {ref.chain}"
    if not ref.index:
        return f"chain {place}"
    handle = f" (handle {ref.handle})" if ref.handle is not None and ref.backend == "nft" else ""
    return f"rule {ref.index} of {place}{handle}"
