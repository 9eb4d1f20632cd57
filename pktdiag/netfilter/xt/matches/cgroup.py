"""cgroup: the control group of the sending socket. net/netfilter/xt_cgroup.c: cgroup_mt_v0, _v1, _v2."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, quoted, text


class Cgroup(NamedTuple):
    """struct xt_cgroup_info_v0..v2."""

    path: str | None
    classid: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Cgroup:
    if rev == 0:
        classid, invert = unpack_from("=II", data)
        return Cgroup(None, classid, bool(invert))
    if rev > 2:
        raise UnknownRevisionError
    size = 4096 if rev == 1 else 512
    has_path, _has_classid, invert_path, invert_classid = unpack_from("=4B", data)
    if has_path:
        return Cgroup(text(unpack_from(f"{size}s", data, 4)[0]), 0, bool(invert_path))
    return Cgroup(None, unpack_from("=I", data, 4 + size if rev == 1 else 4)[0], bool(invert_classid))


def evaluate(info: Cgroup, ctx: HookContext) -> Tri:
    """Without a full socket of this namespace it does not match, inverted or not. Kernel sockets: class 0, the root group."""
    if ctx.skb.extra.get("kernel socket") == ctx.ns.id:
        return (not info.path if info.path is not None else info.classid == 0) != info.invert
    if ctx.skb.sock is None or ctx.skb.sock_ns != ctx.ns.id:
        return False
    where = f"control group {info.path}" if info.path is not None else f"net_cls class {info.classid:#x}"
    return Unknown(f"the sending socket {'does not belong' if info.invert else 'belongs'} to {where}")


def render(info: Cgroup, family: int) -> str:
    return f"{bang(info.invert)}--path {quoted(info.path)}" if info.path is not None else f"{bang(info.invert)}--cgroup {info.classid}"
