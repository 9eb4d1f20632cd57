"""Verdicts of ebtables targets. include/uapi/linux/netfilter_bridge/ebtables.h: EBT_ACCEPT .. EBT_RETURN, EBT_VERDICT_BITS."""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import ACCEPT, HookResult

ACCEPT_, DROP, CONTINUE, RETURN = -1, -2, -3, -4
NAMES = {ACCEPT_: "ACCEPT", DROP: "DROP", CONTINUE: "CONTINUE", RETURN: "RETURN"}


def verdict_of(target: int) -> int:
    """Some targets keep flags in the bits above the verdict."""
    return (target & 0xF) - 16


def result_of(verdict: int, rule: RuleRef | None) -> HookResult | str | None:
    if verdict == CONTINUE:
        return None
    if verdict == RETURN:
        return "RETURN"
    return ACCEPT if verdict == ACCEPT_ else HookResult("drop", "NETFILTER_DROP", rule, "dropped by an ebtables rule", cause="rule-drop")


def name_of(verdict: int) -> str:
    return NAMES.get(verdict, str(verdict))
