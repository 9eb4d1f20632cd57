"""Common ground of the matches on IPv6 extension headers: each looks for its header by itself (ipv6_find_hdr), whatever ``-p`` says.

No header, no match, not even an inverted one: net/ipv6/netfilter/ip6t_rt.c: rt_mt6 and its likes.
"""

from __future__ import annotations

from pktdiag.model.packet import Packet


def found(packet: Packet, number: int) -> bytes | None:
    """The first header of a kind, its next-header byte filled in; None: there is none."""
    if not packet.ext_headers and not packet.fragment_offset and not packet.more_fragments:
        return None
    from pktdiag.model.exthdr import find

    header = find(packet, number)
    return header.data if header is not None else None
