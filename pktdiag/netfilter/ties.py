"""Hook entries of equal priority: the kernel runs the younger first, and their age cannot always be read.

Within one nft table the chain handles tell. Between tables, or between nft and legacy, nothing does; but most often the
order changes nothing, which a dry run on copies of the packet finds out. Only when it does, the walk is split.
"""

from __future__ import annotations

from pktdiag.model.trace import RuleRef
from pktdiag.netfilter import hook_table
from pktdiag.netfilter.context import Conn, HookContext, HookResult, Skb, Unknown, reply_mark
from pktdiag.netfilter.hook_table import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Undecided(Exception):  # noqa: N818 - control flow, not an error
    pass


class _DryServices:
    """Answers like the real ones, leaves no trace, and gives up where the walk would be split."""

    def __init__(self, real: Any) -> None:
        self._real = real
        copies: dict[int, Conn] = {}
        self.conns = {key: _copied(value, copies) if isinstance(value, Conn) else value for key, value in real.conns.items()}
        self.hits: list[RuleRef] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def decide(self, condition: Unknown, consistent_key: object = None) -> bool:
        raise _Undecided

    def hit(self, rule: RuleRef) -> None:
        self.hits.append(rule)

    def _silent(self, *args: object, **kwargs: object) -> None:
        return None

    note = log_line = duplicate = _silent


def settle(ctx: HookContext, found: list[Entry], done: Callable[[], bool] | None) -> list[Entry]:
    """The entries with every uncertain tie decided, by nothing (it does not matter) or by the walk."""
    at = 0
    while at < len(found) - 1:
        end = at + 1
        while end < len(found) and found[end].priority == found[at].priority:
            end += 1
        group = found[at:end]
        if len(group) > 1 and not all(hook_table.certain(group[0], other) for other in group[1:]):
            other_way = _other_order(group)
            (one, one_hits), (other, other_hits) = _outcome(ctx, group, done), _outcome(ctx, other_way, done)
            if one == other:
                _either(ctx, one_hits, other_hits)
            else:
                names = " before ".join(entry.label for entry in group)
                condition = Unknown(f"{names} at the same priority {group[0].priority} (the younger runs first, and age cannot be read)")
                key = ("tie", ctx.ns.id, ctx.pf, ctx.hook, group[0].priority, ctx.skb.packet)
                if not ctx.services.decide(condition, key):
                    found[at:end] = other_way
        at = end
    return found


def _either(ctx: HookContext, one: list[RuleRef], other: list[RuleRef]) -> None:
    """Tells the walk which counters move in one order only."""
    rest = list(other)
    for rule in one:
        if rule in rest:
            rest.remove(rule)
        else:
            ctx.services.uncertain(rule)
    for rule in rest:
        ctx.services.uncertain(rule)


def _other_order(group: list[Entry]) -> list[Entry]:
    """Tables the other way round, chains of one table as they were."""
    blocks: list[list[Entry]] = []
    for entry in group:
        if blocks and hook_table.certain(blocks[-1][0], entry):
            blocks[-1].append(entry)
        else:
            blocks.append([entry])
    return [entry for block in reversed(blocks) for entry in block]


def _outcome(ctx: HookContext, group: list[Entry], done: Callable[[], bool] | None) -> tuple[object, list[RuleRef]]:
    """(what remains after a dry run: verdict, deciding rule, and everything about the packet later code looks at; the
    rules hit)."""
    skb = ctx.skb.copy()
    if skb.ct is not None:
        skb.ct = _copy_conn(skb.ct)
    dry: Any = _DryServices(ctx.services)
    trial = ctx._replace(services=dry, skb=skb)
    result = HookResult("accept")
    try:
        for entry in group:
            result = entry.run(trial)
            if result.action != "accept" or (done is not None and skb.ct is not None and skb.ct.status != _status(ctx)):
                break
    except _Undecided:
        return object(), []
    if result.action == "accept":
        return ("accept", _fingerprint(skb)), dry.hits
    rule = result.rule and (result.rule.backend, result.rule.table, result.rule.chain, result.rule.index)
    answered = (result.answer, skb.packet, skb.ct_state, _about(skb.ct), reply_mark(ctx.ns, skb)) if result.answer else None
    return (result.action, result.reason, rule, answered), dry.hits


def _status(ctx: HookContext) -> int:
    return ctx.skb.ct.status if ctx.skb.ct is not None else 0


def _copied(conn: Conn, copies: dict[int, Conn]) -> Conn:
    """One copy for both directions' keys: a dry run moves the state of connections, too."""
    if id(conn) not in copies:
        copies[id(conn)] = _copy_conn(conn)
    return copies[id(conn)]


def _copy_conn(conn: Conn) -> Conn:
    other = Conn.__new__(Conn)
    for name in Conn.__slots__:
        setattr(other, name, getattr(conn, name))
    other.extra = dict(conn.extra)
    return other


def _fingerprint(skb: Skb) -> object:
    return (skb.packet, skb.mark, skb.priority, skb.ct_state, skb.tproxy_sock, skb.secmark, skb.dst_mac, skb.src_mac, _about(skb.ct))


def _about(conn: Conn | None) -> object:
    return conn and (conn.reply, conn.status, conn.mark, conn.labels, conn.helper)
