"""Legacy ebtables: tables in the EBT_SO_GET_ENTRIES form."""

from __future__ import annotations

from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult, Unknown


def run_ebtables(ctx: HookContext, table_name: str) -> HookResult:
    """Not read yet: what the table says is a condition."""
    question = Unknown(f"the legacy ebtables table {table_name} of {ctx.ns.id} lets the frame pass")
    if ctx.services.decide(question, (ctx.ns.id, "ebtables", table_name, ctx.hook)):
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", text=f"dropped by ebtables table {table_name}", cause="rule-drop")
