"""realm: the routing realm. net/netfilter/xt_realm.c: realm_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.realms import realm
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Realm(NamedTuple):
    """struct xt_realm_info."""

    id: int
    mask: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Realm:
    if rev != 0:
        raise UnknownRevisionError
    id_, mask, invert = unpack_from("=IIB", data)
    return Realm(id_, mask, bool(invert))


def evaluate(info: Realm, ctx: HookContext) -> Tri:
    """dst.tclassid comes from the route."""
    known = realm(ctx.ns, ctx.skb.packet.family)
    if known is None:
        return Unknown(f"the packet's route {'does not belong' if info.invert else 'belongs'} to realm {info.id:#x}")
    return (info.id == known & info.mask) != info.invert


def render(info: Realm, family: int) -> str:
    """Realm 0 is named in iproute2's own rt_realms file."""
    if info.mask != 0xFFFFFFFF:
        return f"{bang(info.invert)}--realm {info.id:#x}/{info.mask:#x}"
    return f"{bang(info.invert)}--realm {'cosmos' if info.id == 0 else f'{info.id:#x}'}"
