"""connlabel: a bit of the connection's label. net/netfilter/xt_connlabel.c: connlabel_mt."""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

INVERT, SET = 1, 2


class ConnLabel(NamedTuple):
    """struct xt_connlabel_mtinfo."""

    bit: int
    options: int


def decode(rev: int, data: bytes, family: int) -> ConnLabel:
    if rev != 0:
        raise UnknownRevisionError
    return ConnLabel(*unpack_from("=HH", data))


def evaluate(info: ConnLabel, ctx: HookContext) -> Tri:
    inverted = bool(info.options & INVERT)
    ct = ctx.skb.ct
    if ct is None:
        return inverted
    labels = int.from_bytes(ct.labels or b"", byteorder)
    if labels >> info.bit & 1:
        return not inverted
    if info.options & SET:
        ct.labels = (labels | 1 << info.bit).to_bytes(16, byteorder)
        return not inverted
    return inverted


def render(info: ConnLabel, family: int) -> str:
    return f'{bang(info.options & INVERT)}--label "{info.bit}"' + (" --set" if info.options & SET else "")
