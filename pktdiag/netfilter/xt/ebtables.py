"""Runs a legacy ebtables table. net/bridge/netfilter/ebtables.c: ebt_do_table, ebt_basic_match; ebtable_broute.c: ebt_broute."""

from __future__ import annotations

import struct

from pktdiag.model.host import Link
from pktdiag.model.kernel import ETH_P_8021Q, NFPROTO_BRIDGE
from pktdiag.model.trace import RuleRef
from pktdiag.model.view import Unreadable
from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult, Unknown
from pktdiag.netfilter.xt.base import HOTDROP, bang, mac_text, masked, text
from pktdiag.netfilter.xt.blob import Item, MalformedTableError
from pktdiag.netfilter.xt.compat import DRAWS, evaluate_match, evaluate_target, render_match, render_target
from pktdiag.netfilter.xt.ebt_blob import (
    DESTMAC,
    IDEST,
    IIN,
    ILOGICALIN,
    ILOGICALOUT,
    IOUT,
    IPROTO,
    ISOURCE,
    LENGTH,
    NOPROTO,
    SOURCEMAC,
    EbtChain,
    EbtRule,
    EbtTable,
    parse,
)

NF_BR_BROUTING = 5
EBT_ACCEPT, EBT_DROP, EBT_CONTINUE, EBT_RETURN = -1, -2, -3, -4
VERDICTS = {EBT_ACCEPT: "ACCEPT", EBT_DROP: "DROP", EBT_CONTINUE: "CONTINUE", EBT_RETURN: "RETURN"}
PROTOCOLS = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6", 0x8100: "802_1Q", 0x88A8: "802_1AD"}


def run_ebtables(ctx: HookContext, table_name: str) -> HookResult:
    """The broute table's DROP means "route it": ``skb.extra["brouted"]`` is set and the frame passes the hook."""
    hook = NF_BR_BROUTING if table_name == "broute" else ctx.hook
    try:
        table = parse(*ctx.ns.xt_table(NFPROTO_BRIDGE, table_name))
        chain = table.base_chain(hook)
        result = ACCEPT if chain is None else _run(ctx._replace(hook=hook), table, chain)
    except Unreadable as error:
        result = _unread(ctx, table_name, error.gap.why)
    except (MalformedTableError, struct.error, IndexError) as error:
        result = _unread(ctx, table_name, str(error))
    if table_name == "broute" and result.action == "drop":
        ctx.skb.extra["brouted"] = True
        return ACCEPT
    return result


def _unread(ctx: HookContext, name: str, why: str) -> HookResult:
    question = Unknown(f"the legacy ebtables table {name} of {ctx.ns.id}, which could not be read ({why}), lets the frame pass")
    if ctx.services.decide(question, (ctx.ns.id, "ebtables", name, ctx.hook)):
        return ACCEPT
    return HookResult("drop", "NETFILTER_DROP", text=f"dropped by ebtables table {name}, which could not be read", cause="table-unreadable")


def _run(ctx: HookContext, table: EbtTable, chain: EbtChain) -> HookResult:
    stack: list[tuple[EbtChain, int]] = []
    at = 0
    while True:
        verdict: int | None = None
        if at >= len(chain.rules):
            verdict = chain.policy
            if verdict != EBT_RETURN:
                return _policy(ctx, table, chain)
        else:
            rule = chain.rules[at]
            ref = None
            if _matches(ctx, rule, chain, at):
                if ctx.skb.extra.pop(HOTDROP, None):
                    return HookResult("drop", "NETFILTER_DROP", rule_ref(ctx, table, chain, at), "a match dropped the frame as malformed",
                                      cause="match-hotdrop")
                ref = rule_ref(ctx, table, chain, at)
                ctx.services.hit(ref)
                ctx.services.note(ctx, f"rule {at + 1} of {chain.name} (ebtables {table.name}) matches", ref)
                for watcher in rule.watchers:
                    evaluate_target(*watcher, ctx, ref)
                outcome = _target(ctx, table, rule, ref)
                if isinstance(outcome, HookResult):
                    return outcome
                verdict = outcome
            if verdict is None or verdict == EBT_CONTINUE:
                at += 1
                continue
        if verdict == EBT_RETURN:
            if not stack:
                return _policy(ctx, table, chain)
            chain, at = stack.pop()
            continue
        target = table.chains.get(verdict)
        if target is None or len(stack) > 1000:
            raise MalformedTableError("an ebtables jump leads nowhere")
        stack.append((chain, at + 1))
        chain, at = target, 0


def _target(ctx: HookContext, table: EbtTable, rule: EbtRule, ref: RuleRef) -> HookResult | int:
    """A verdict, or EBT_CONTINUE, EBT_RETURN, or the offset to jump to."""
    if rule.verdict is not None:
        if rule.verdict == EBT_ACCEPT:
            return ACCEPT._replace(rule=ref)
        if rule.verdict == EBT_DROP:
            return HookResult("drop", "NETFILTER_DROP", ref, f"dropped by a rule of ebtables {table.name}", cause="rule-drop")
        return rule.verdict
    result = evaluate_target(*rule.target, ctx, ref)
    if isinstance(result, Unknown):
        if ctx.services.decide(result, ("ebtables", ref.chain, ref.index, "target")):
            return EBT_CONTINUE
        return HookResult("drop", "NETFILTER_DROP", ref, "dropped by a target pktdiag does not model", cause="unknown-target")
    if isinstance(result, HookResult):
        return result if result.rule is not None else result._replace(rule=ref)
    return EBT_RETURN if result == "RETURN" else EBT_CONTINUE


def _policy(ctx: HookContext, table: EbtTable, chain: EbtChain) -> HookResult:
    if chain.policy == EBT_ACCEPT:
        return ACCEPT
    ref = RuleRef(ctx.ns.id, "ebtables-legacy", "bridge", table.name, chain.name, None, 0, f"-P {chain.name} DROP",
                  f"ebtables-legacy -t {table.name} -L {chain.name}", None, None)
    return HookResult("drop", "NETFILTER_DROP", ref, f"no rule of {chain.name} (ebtables {table.name}) accepted it and its policy is DROP",
                      cause=f"{chain.name.lower()}-policy-drop")


def rule_ref(ctx: HookContext, table: EbtTable, chain: EbtChain, at: int) -> RuleRef:
    rule = chain.rules[at]
    return RuleRef(ctx.ns.id, "ebtables-legacy", "bridge", table.name, chain.name, None, at + 1, render(table, chain.name, rule),
                   f"ebtables-legacy -t {table.name} -L {chain.name} --Lc --Ln", rule.packets, rule.bytes)


# -- matching ----------------------------------------------------------------------------------------------------------
def _matches(ctx: HookContext, rule: EbtRule, chain: EbtChain, at: int) -> bool:
    if not basic_match(ctx, rule):
        return False
    unknown: list[Unknown] = []
    fresh = False
    for name, rev, data in rule.matches:
        result = evaluate_match(name, rev, data, ctx)
        if isinstance(result, Unknown):
            unknown.append(result)
            fresh = fresh or name in DRAWS
        elif not result:
            return bool(ctx.skb.extra.get(HOTDROP))
    if not unknown:
        return True
    words = " and ".join(each.condition for each in unknown)
    if rule.verdict == EBT_CONTINUE:
        ctx.services.note(ctx, f"rule {at + 1} of {chain.name} may match, which would change nothing: it depends on whether {words}")
        return False
    return ctx.services.decide(Unknown(words), None if fresh else ("ebtables", ctx.ns.id, chain.name, at, words))


def basic_match(ctx: HookContext, rule: EbtRule) -> bool:
    skb, inv = ctx.skb, rule.invflags
    proto = ETH_P_8021Q if skb.vlan_tci is not None else skb.ethertype
    if rule.bitmask & LENGTH:
        if (proto < 0x0600) == bool(inv & IPROTO):
            return False
    elif not rule.bitmask & NOPROTO and (proto == rule.proto) == bool(inv & IPROTO):
        return False
    indev, logical_in, outdev, logical_out = rule.devices
    if _device(indev, ctx.indev) == bool(inv & IIN) or _device(outdev, ctx.outdev) == bool(inv & IOUT):
        return False
    for pattern, port, flag in ((logical_in, ctx.indev, ILOGICALIN), (logical_out, ctx.outdev, ILOGICALOUT)):
        if port is not None and port.master is not None and _device(pattern, ctx.ns.link(port.master)) == bool(inv & flag):
            return False
    if rule.bitmask & SOURCEMAC and (masked(skb.src_mac, rule.src[1]) == masked(*rule.src)) == bool(inv & ISOURCE):
        return False
    return not (rule.bitmask & DESTMAC and (masked(skb.dst_mac, rule.dst[1]) == masked(*rule.dst)) == bool(inv & IDEST))


def _device(pattern: bytes, device: Link | None) -> bool:
    """ebt_dev_check: no name fits all; byte 1 is the ``+``."""
    name = text(pattern)
    if not name:
        return True
    if device is None:
        return False
    head, wildcard, _ = name.partition("\x01")
    return device.name.startswith(head) if wildcard else device.name == name


# -- showing -----------------------------------------------------------------------------------------------------------
def render(table: EbtTable, chain: str, rule: EbtRule) -> str:
    """As ebtables-save writes it."""
    inv = rule.invflags
    parts = [f"-A {chain}"]
    if rule.bitmask & LENGTH:
        parts.append(f"-p {bang(inv & IPROTO)}Length")
    elif not rule.bitmask & NOPROTO:
        parts.append(f"-p {bang(inv & IPROTO)}{PROTOCOLS.get(rule.proto, f'{rule.proto:#x}')}")
    if rule.bitmask & SOURCEMAC:
        parts.append(f"-s {bang(inv & ISOURCE)}{mac_text(*rule.src)}")
    if rule.bitmask & DESTMAC:
        parts.append(f"-d {bang(inv & IDEST)}{mac_text(*rule.dst)}")
    for pattern, option, flag in zip(rule.devices, ("-i", "--logical-in", "-o", "--logical-out"), (IIN, ILOGICALIN, IOUT, ILOGICALOUT)):
        if text(pattern):
            parts.append(f"{option} {bang(inv & flag)}{text(pattern).replace(chr(1), '+')}")
    parts += [_item(item) for item in rule.matches]
    parts += [render_target(*item, NFPROTO_BRIDGE).partition(" ")[2].partition(" ")[2] for item in rule.watchers]
    if rule.verdict is None:
        parts.append(render_target(*rule.target, NFPROTO_BRIDGE))
    elif rule.verdict < 0:
        parts.append(f"-j {VERDICTS.get(rule.verdict, rule.verdict)}")
    else:
        jumped = table.chains.get(rule.verdict)
        parts.append(f"-j {jumped.name if jumped else rule.verdict}")
    return " ".join(part for part in parts if part)


def _item(item: Item) -> str:
    return render_match(*item, NFPROTO_BRIDGE)
