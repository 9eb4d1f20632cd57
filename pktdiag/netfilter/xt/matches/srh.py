"""srh: the segment routing header. net/ipv6/netfilter/ip6t_srh.c: srh_mt6, srh1_mt6."""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from pktdiag.model.kernel import IPPROTO_ROUTING
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, mask_length, masked
from pktdiag.netfilter.xt.matches.ext6 import found

__all__ = ["Srh", "decode", "evaluate", "render"]

TYPE_4 = 4


class Srh(NamedTuple):
    """struct ip6t_srh / ip6t_srh1."""

    next_header: int
    hdr_len: int
    segs_left: int
    last_entry: int
    tag: int
    sids: tuple[tuple[bytes, bytes], ...]
    """(address, mask) of previous, next and last segment; empty in revision 0."""
    flags: int
    invflags: int


def decode(rev: int, data: bytes, family: int) -> Srh:
    nexthdr, length, segs, last, tag = unpack_from("=4BH", data)
    if rev == 0:
        return Srh(nexthdr, length, segs, last, tag, (), *unpack_from("=HH", data, 6))
    if rev != 1:
        raise UnknownRevisionError
    fields = unpack_from("=16s16s16s16s16s16sHH", data, 8)
    return Srh(nexthdr, length, segs, last, tag, tuple(zip(fields[:3], fields[3:6])), fields[6], fields[7])


def evaluate(info: Srh, ctx: HookContext) -> Tri:
    """Of a segment routing header only (type 4), with no more segments left than it has; each comparison may be inverted."""
    header = found(ctx.skb.packet, IPPROTO_ROUTING)
    if header is None or header[2] != TYPE_4 or header[3] > header[4]:
        return False
    following, length, left, last = header[0], header[1], header[3], header[4]
    tests = [following == info.next_header]
    for value, wanted in ((length, info.hdr_len), (left, info.segs_left), (last, info.last_entry)):
        tests += [value == wanted, value > wanted, value < wanted]
    tests.append(int.from_bytes(header[6:8], byteorder) == info.tag)
    if any(info.flags >> bit & 1 and held == bool(info.invflags >> bit & 1) for bit, held in enumerate(tests)):
        return False
    for bit, index, there in ((11, left + 1, left != last), (12, left - 1, left != 0), (13, 0, True)):
        if not info.flags >> bit & 1:
            continue
        address, mask = info.sids[bit - 11] if info.sids else (bytes(16), bytes(16))
        segment = header[8 + 16 * index:24 + 16 * index]
        if not there or len(segment) < 16 or (masked(segment, mask) == masked(address, mask)) == bool(info.invflags >> bit & 1):
            return False
    return True


def render(info: Srh, family: int) -> str:
    texts = [f"--srh-next-hdr {info.next_header}"]
    for option, value in (("hdr-len", info.hdr_len), ("segs-left", info.segs_left), ("last-entry", info.last_entry)):
        texts += [f"--srh-{option}-{comparison} {value}" for comparison in ("eq", "gt", "lt")]
    texts.append(f"--srh-tag {info.tag}")
    for name, (address, mask) in zip(("psid", "nsid", "lsid"), info.sids):
        texts.append(f"--srh-{name} {format_address(address)}/{mask_length(mask)}")
    return " ".join(bang(info.invflags >> bit & 1) + text for bit, text in enumerate(texts) if info.flags >> bit & 1)
