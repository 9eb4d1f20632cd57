"""state: the old form of conntrack's state test. net/netfilter/xt_state.c: state_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.netfilter.context import CtState, HookContext, Tri, attached
from pktdiag.netfilter.xt.base import UnknownRevisionError

INVALID, UNTRACKED = 1, 1 << 6
STATES = ((INVALID, "INVALID"), (8, "NEW"), (4, "RELATED"), (2, "ESTABLISHED"), (UNTRACKED, "UNTRACKED"))


def decode(rev: int, data: bytes, family: int) -> int:
    """struct xt_state_info: the mask of states."""
    if rev != 0:
        raise UnknownRevisionError
    mask: int = unpack_from("=I", data)[0]
    return mask


def state_bit(ctx: HookContext, untracked: int) -> int:
    """XT_STATE_BIT: replies count as their direction's twin; no connection is INVALID, which includes "not looked at yet"."""
    ct, ctinfo = attached(ctx.skb)
    if ct is not None and ctinfo is not None and ctinfo < CtState.INVALID:
        return 1 << (ctinfo % 3 + 1)
    return untracked if ctinfo == CtState.UNTRACKED else INVALID


def evaluate(info: int, ctx: HookContext) -> Tri:
    return bool(info & state_bit(ctx, UNTRACKED))


def render(info: int, family: int) -> str:
    return "--state " + ",".join(name for bit, name in STATES if info & bit)
