"""srh: the segment routing header. net/ipv6/netfilter/ip6t_srh.c: srh_mt6, srh1_mt6."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang, mask_length
from pktdiag.netfilter.xt.matches.ext6 import absent as evaluate

__all__ = ["Srh", "decode", "evaluate", "render"]


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


def render(info: Srh, family: int) -> str:
    texts = [f"--srh-next-hdr {info.next_header}"]
    for option, value in (("hdr-len", info.hdr_len), ("segs-left", info.segs_left), ("last-entry", info.last_entry)):
        texts += [f"--srh-{option}-{comparison} {value}" for comparison in ("eq", "gt", "lt")]
    texts.append(f"--srh-tag {info.tag}")
    for name, (address, mask) in zip(("psid", "nsid", "lsid"), info.sids):
        texts.append(f"--srh-{name} {format_address(address)}/{mask_length(mask)}")
    return " ".join(bang(info.invflags >> bit & 1) + text for bit, text in enumerate(texts) if info.flags >> bit & 1)
