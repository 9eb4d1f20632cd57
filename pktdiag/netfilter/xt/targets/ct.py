"""CT: chooses conntrack's treatment before it looks. net/netfilter/xt_CT.c: xt_ct_target, notrack_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import CtState, CtTemplate, HookContext, HookResult, seen_by_conntrack
from pktdiag.netfilter.xt.base import UnknownRevisionError, text

NOTRACK, NOTRACK_ALIAS, ZONE_DIR_ORIG, ZONE_DIR_REPL, ZONE_MARK = (1 << bit for bit in range(5))
EVENTS = ("new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark")


class Ct(NamedTuple):
    """struct xt_ct_target_info / _v1."""

    flags: int
    zone: int
    events: int
    exp_events: int
    helper: str
    timeout: str


def decode(rev: int, data: bytes, family: int) -> Ct:
    if rev > 2:
        raise UnknownRevisionError
    flags, zone, events, exp_events, helper = unpack_from("=HHII16s", data)
    timeout = unpack_from("32s", data, 28)[0] if rev else b""
    return Ct(flags, zone, events, exp_events, text(helper), text(timeout))


def evaluate(info: Ct, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    """Does nothing to a packet conntrack has already seen; else untracked, or a template for nf_conntrack_in.

    The template is left in ``skb.extra["ct_template"]``.
    """
    skb = ctx.skb
    if seen_by_conntrack(skb):
        return None
    if info.flags & NOTRACK:
        skb.ct_state = CtState.UNTRACKED
    else:
        skb.extra["ct_template"] = CtTemplate(
            info.zone, 1 if info.flags & ZONE_DIR_ORIG else 2 if info.flags & ZONE_DIR_REPL else 3, info.helper or None,
            info.timeout or None, bool(info.flags & ZONE_MARK))
    return None


def _events(mask: int) -> str:
    return ",".join(name for bit, name in enumerate(EVENTS) if mask >> bit & 1)


def alias(info: Ct) -> str:
    return "NOTRACK" if info.flags & NOTRACK_ALIAS else "CT"


def render(info: Ct, family: int) -> str:
    if info.flags & NOTRACK_ALIAS:
        return ""
    parts = ["--notrack"] if info.flags & NOTRACK else []
    if info.helper:
        parts.append(f"--helper {info.helper}")
    if info.timeout:
        parts.append(f"--timeout {info.timeout}")
    if info.events:
        parts.append(f"--ctevents {_events(info.events)}")
    if info.exp_events:
        parts.append("--expevents new")
    option = "--zone-orig" if info.flags & ZONE_DIR_ORIG else "--zone-reply" if info.flags & ZONE_DIR_REPL else "--zone"
    if info.flags & ZONE_MARK:
        parts.append(f"{option} mark")
    elif info.zone:
        parts.append(f"{option} {info.zone}")
    return " ".join(parts)
