"""One netfilter hook, run as the kernel runs it: every registered function by priority until one ends the packet's way.

Source: net/netfilter/core.c (nf_hook_slow), net/netfilter/nf_queue.c (nf_reinject continues behind the queueing hook).
"""

from __future__ import annotations

from pktdiag.model.kernel import NF_NETDEV_EGRESS, NFPROTO_NETDEV
from pktdiag.model.view import Unreadable
from pktdiag.netfilter import hook_table
from pktdiag.netfilter.context import ACCEPT, HookContext, HookResult, Unknown
from pktdiag.netfilter.hook_table import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Entry", "run", "run_entries"]


def run(ctx: HookContext, *, above: int | None = None, extra: Sequence[Entry] = ()) -> HookResult:
    """Everything at ``ctx.hook`` of ``ctx.pf`` in ``ctx.ns``.

    ``above``: only entries of a higher priority (br_netfilter resumes a bridge hook behind its own entry,
    net/bridge/br_netfilter_hooks.c: br_nf_hook_thresh). ``extra``: entries the walk itself provides, merged by priority.
    Raises Unreadable where the rules could not be read.
    """
    device = ctx.indev if ctx.indev is not None else ctx.outdev
    found: Sequence[Entry] = entries_of(ctx, device.ifindex if device else 0)
    if extra:
        found = hook_table.in_order([*found, *extra])
    if above is not None:
        found = [entry for entry in found if entry.priority > above]
    return run_entries(ctx, found)


def entries_of(ctx: HookContext, ifindex: int) -> tuple[Entry, ...]:
    """:func:`hook_table.entries`, remembered for one replay; the device matters to ingress and egress hooks only."""
    conns = ctx.services.conns
    netdev = ctx.pf == NFPROTO_NETDEV
    if netdev:
        any_device = ("device hooks", ctx.ns.id)
        if any_device not in conns:
            conns[any_device] = hook_table.hooks_devices(ctx.ns)
        if not conns[any_device]:
            return ()
    key = ("hooks", ctx.ns.id, ctx.pf, ctx.hook, ifindex if netdev else 0)
    known = conns.get(key)
    if isinstance(known, tuple):
        return known
    device = (ctx.outdev if ctx.hook == NF_NETDEV_EGRESS else ctx.indev) if netdev else None
    made = hook_table.entries(ctx.ns, ctx.pf, ctx.hook, device)
    conns[key] = made
    return made


def run_entries(ctx: HookContext, found: Sequence[Entry], done: Callable[[], bool] | None = None) -> HookResult:
    """nf_hook_slow(). ``done`` ends the run early (the NAT hook stops at the first binding).

    A tie is settled when its turn comes: what the entries before it did to the packet (connection tracking!) counts."""
    at = 0
    while at < len(found):
        end = at + 1
        while end < len(found) and found[end].priority == found[at].priority:
            end += 1
        for entry in _settled(ctx, found[at:end], done) if end - at > 1 else found[at:end]:
            result = entry.run(ctx)
            if result.action == "queue":
                result = _queue(ctx, result)
            if result.action != "accept":
                return result
            if done is not None and done():
                return ACCEPT
        at = end
    return ACCEPT


def _queue(ctx: HookContext, result: HookResult) -> HookResult:
    """A program behind a queue may accept, and the packet goes on behind this hook function, or drop. With nobody
    listening it is dropped, unless the rule says bypass (nf_queue: ESRCH)."""
    what = result.text or "an NFQUEUE rule hands the packet to a program"
    if result.queues is not None and _nobody_listens(ctx, result.queues):
        first, total, bypass = result.queues
        if bypass:
            ctx.services.note(ctx, f"{what}: nobody does.")
            return ACCEPT
        where = f"queue {first}" if total == 1 else f"queues {first} to {first + total - 1}"
        return HookResult("drop", "NOT_SPECIFIED", result.rule, f"no program listens on {where} in this namespace, where the packet is "
                          "handed to one (start it, or let the rule say bypass)", None, "queue")
    if ctx.services.decide(Unknown(f"the program it is queued to accepts it ({what})")):
        return ACCEPT
    return HookResult("drop", result.reason or "NETFILTER_DROP", result.rule, f"{what}, which does not accept it", None, "queue")


def _nobody_listens(ctx: HookContext, queues: tuple[int, int, bool]) -> bool:
    """__nf_queue(): ESRCH when no instance of the queue is there (instance_lookup in nfqnl_enqueue_packet)."""
    first, total, _ = queues
    try:
        return not ctx.ns.queue_numbers().intersection(range(first, first + total))
    except Unreadable:
        return False


def _settled(ctx: HookContext, tied: Sequence[Entry], done: Callable[[], bool] | None) -> Sequence[Entry]:
    """Entries of equal priority whose order nothing tells: asked about only when the other order ends differently."""
    if all(hook_table.certain(tied[0], other) for other in tied[1:]):
        return tied
    from pktdiag.netfilter.ties import settle

    return settle(ctx, list(tied), done)
