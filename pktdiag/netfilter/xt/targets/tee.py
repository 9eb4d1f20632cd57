"""TEE: a copy to another gateway. net/netfilter/xt_TEE.c: tee_tg4, tee_tg6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, inet, text


class Tee(NamedTuple):
    """struct xt_tee_tginfo."""

    gateway: bytes
    oif: str


def decode(rev: int, data: bytes, family: int) -> Tee:
    if rev != 1:
        raise UnknownRevisionError
    return Tee(inet(data, 0, family), text(unpack_from("16s", data, 16)[0]))


def evaluate(info: Tee, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    link = ctx.ns.link_named(info.oif) if info.oif else None
    ctx.services.duplicate(ctx, info.gateway, link.ifindex if link is not None else None)
    return None


def render(info: Tee, family: int) -> str:
    return f"--gateway {format_address(info.gateway)}" + (f" --oif {info.oif}" if info.oif else "")
