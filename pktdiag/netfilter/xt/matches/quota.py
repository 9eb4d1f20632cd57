"""quota: matches until so many bytes have passed. net/netfilter/xt_quota.c: quota_mt. What is left is not shown."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Quota(NamedTuple):
    """struct xt_quota_info, bytes."""

    invert: bool
    quota: int


def decode(rev: int, data: bytes, family: int) -> Quota:
    if rev != 0:
        raise UnknownRevisionError
    flags, quota = unpack_from("=I4xQ", data)
    return Quota(bool(flags & 1), quota)


def evaluate(info: Quota, ctx: HookContext) -> Tri:
    if not info.quota:
        return info.invert
    return Unknown(f"the quota of {info.quota} bytes {'is used up' if info.invert else 'has room left for it'}")


def render(info: Quota, family: int) -> str:
    return f"{bang(info.invert)}--quota {info.quota}"
