"""devgroup: the group of the in or out device. net/netfilter/xt_devgroup.c: devgroup_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang

MATCH_SRC, INVERT_SRC, MATCH_DST, INVERT_DST = 1, 2, 4, 8


class DevGroup(NamedTuple):
    """struct xt_devgroup_info."""

    flags: int
    src: tuple[int, int]
    dst: tuple[int, int]
    """(group, mask)"""


def decode(rev: int, data: bytes, family: int) -> DevGroup:
    if rev != 0:
        raise UnknownRevisionError
    flags, src, src_mask, dst, dst_mask = unpack_from("=5I", data)
    return DevGroup(flags, (src, src_mask), (dst, dst_mask))


def evaluate(info: DevGroup, ctx: HookContext) -> Tri:
    """Rules using a side are only accepted in chains where that device exists."""
    sides = ((MATCH_SRC, INVERT_SRC, ctx.indev, info.src), (MATCH_DST, INVERT_DST, ctx.outdev, info.dst))
    for match, invert, device, (group, mask) in sides:
        if info.flags & match and ((group ^ (device.group if device else 0)) & mask == 0) == bool(info.flags & invert):
            return False
    return True


def _group(pair: tuple[int, int]) -> str:
    """Group 0 has a name in iproute2's own group file."""
    if pair[1] != 0xFFFFFFFF:
        return f"{pair[0]:#x}/{pair[1]:#x}"
    return "default" if pair[0] == 0 else f"{pair[0]:#x}"


def render(info: DevGroup, family: int) -> str:
    parts = []
    for match, invert, option, pair in ((MATCH_SRC, INVERT_SRC, "--src-group", info.src), (MATCH_DST, INVERT_DST, "--dst-group", info.dst)):
        if info.flags & match:
            parts.append(f"{bang(info.flags & invert)}{option} {_group(pair)}")
    return " ".join(parts)
