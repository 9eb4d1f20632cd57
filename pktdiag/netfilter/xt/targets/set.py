"""SET: adds to, deletes from, or maps by an ipset. net/netfilter/xt_set.c: set_target_v0..v3."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import HookContext, HookResult, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError
from pktdiag.netfilter.xt.ipset import INVALID_ID, SetUse, element_of, memory, set_header, set_name
from pktdiag.netfilter.xt.matches.set import old_use

NO_SET = SetUse(INVALID_ID, 0, 0)
EXIST, MAP_MARK, MAP_PRIO, MAP_QUEUE = 1, 1 << 8, 1 << 9, 1 << 10
NO_TIMEOUT = 0xFFFFFFFF


class SetTarget(NamedTuple):
    """struct xt_set_info_target_v0..v3."""

    add: SetUse
    delete: SetUse
    map: SetUse
    flags: int
    timeout: int


def decode(rev: int, data: bytes, family: int) -> SetTarget:
    if rev == 0:
        return SetTarget(old_use(data, 0), old_use(data, 32), NO_SET, 0, NO_TIMEOUT)
    if rev > 3:
        raise UnknownRevisionError
    count = 3 if rev == 3 else 2
    uses = [SetUse(*unpack_from("=HBB", data, 4 * i)) for i in range(count)]
    if any(use.dim > 6 for use in uses):
        raise ValueError("SET")
    flags, timeout = unpack_from("=II", data, 4 * count) if rev >= 2 else (0, NO_TIMEOUT)
    return SetTarget(uses[0], uses[1], uses[2] if rev == 3 else NO_SET, flags, timeout)


def _remember(ctx: HookContext, use: SetUse, present: bool) -> None:
    """Later set matches of this packet (and its answer) see what was added or deleted."""
    try:
        header = set_header(ctx.ns, use.number)
        element = element_of(header, use, ctx) if header is not None else None
    except (Unreadable, ValueError, IndexError):
        return
    if header is not None and element is not None and not isinstance(element, Unknown):
        memory(ctx)[header.name, element.request] = present


def evaluate(info: SetTarget, ctx: HookContext, rule: RuleRef | None) -> HookResult | Unknown | None:
    if info.add.number != INVALID_ID:
        _remember(ctx, info.add, True)
    if info.delete.number != INVALID_ID:
        _remember(ctx, info.delete, False)
    if info.map.number != INVALID_ID:
        from pktdiag.netfilter.xt.ipset_map import apply_map

        apply_map(ctx, info.map, bool(info.flags & MAP_MARK), bool(info.flags & MAP_PRIO), bool(info.flags & MAP_QUEUE))
    return None


def render(info: SetTarget, family: int) -> str:
    return render_in(info, family, None)


def render_in(info: SetTarget, family: int, ns: NamespaceView | None) -> str:
    parts = []
    for option, use in (("--add-set", info.add), ("--del-set", info.delete), ("--map-set", info.map)):
        if use.number != INVALID_ID:
            parts.append(f"{option} {set_name(ns, use.number)} {use.directions()}")
        if option == "--add-set":
            continue
        if option == "--del-set":
            if info.flags & EXIST:
                parts.append("--exist")
            if info.timeout != NO_TIMEOUT:
                parts.append(f"--timeout {info.timeout}")
    for flag, option in ((MAP_MARK, "--map-mark"), (MAP_PRIO, "--map-prio"), (MAP_QUEUE, "--map-queue")):
        if info.flags & flag:
            parts.append(option)
    return " ".join(parts)
