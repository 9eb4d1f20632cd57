"""IPv6 extension headers of a packet: where they stand, and what is found behind them.

Sources: net/ipv6/exthdrs_core.c (ipv6_ext_hdr, ipv6_find_hdr, ipv6_skip_exthdr), include/net/ipv6.h (NEXTHDR_*, ipv6_optlen,
ipv6_authlen). Who looks decides what is seen: conntrack and the legacy rules walk through an authentication header, nftables
stops at it.
"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_NONE, IPPROTO_ROUTING
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple

EXTENSIONS = frozenset((IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_AH, IPPROTO_NONE, IPPROTO_DSTOPTS))
"""ipv6_ext_hdr(): what a kernel walks over. ESP, mobility and shim6 headers end every walk."""


class Header(NamedTuple):
    """One extension header as it stands in its packet."""

    number: int
    offset: int
    """Bytes from the IPv6 header's begin."""
    data: bytes
    """The next-header byte filled in."""


class Last(NamedTuple):
    """ipv6_find_hdr(-1): what is called the packet's protocol."""

    number: int
    offset: int
    """Of its header; meaningless in a later fragment."""
    fragment: int
    """Fragment offset in bytes."""


def size(number: int, header: bytes) -> int:
    """How long a header says it is."""
    if number == IPPROTO_FRAGMENT:
        return 8
    return (header[1] + 2) * 4 if number == IPPROTO_AH else (header[1] + 1) * 8


def holds_together(options: bytes) -> bool:
    """nf_ip6_check_hbh_len(): the options of a hop-by-hop header fill it exactly; jumbograms, which say another length, never fit here."""
    at = 2
    while at < len(options):
        if options[at] == 0:  # Pad1
            at += 1
            continue
        length = options[at + 1] + 2 if at + 1 < len(options) else 0
        if not length or at + length > len(options) or options[at] == 0xC2:
            return False
        at += length
    return True


def fragment_header(packet: Packet) -> bytes:
    """What the packet's fields say; without the identification, which they do not know."""
    return bytes((0, 0)) + (packet.fragment_offset & 0xFFF8 | packet.more_fragments).to_bytes(2, "big") + bytes(4)


def chain(packet: Packet) -> tuple[tuple[int, bytes], ...]:
    """The packet's headers, with the fragment header that its fields imply where none is given: then it is the last."""
    given = packet.ext_headers
    if (packet.fragment_offset or packet.more_fragments) and not any(number == IPPROTO_FRAGMENT for number, _ in given):
        return (*given, (IPPROTO_FRAGMENT, fragment_header(packet)))
    return given


def headers(packet: Packet) -> tuple[Header, ...]:
    """The chain with its places and its next-header bytes."""
    found, at = [], 40
    links = chain(packet)
    for position, (number, data) in enumerate(links):
        following = links[position + 1][0] if position + 1 < len(links) else packet.proto
        found.append(Header(number, at, bytes((following,)) + data[1:]))
        at += len(data)
    return tuple(found)


def find(packet: Packet, number: int) -> Header | None:
    """ipv6_find_hdr() with a target; the first of its kind."""
    return next((header for header in headers(packet) if header.number == number), None)


def last(packet: Packet, stop_at_auth: bool) -> Last | None:
    """ipv6_find_hdr(-1): protocol, offset, fragment. None: it finds nothing, since behind a later fragment's header there would be
    another extension header (-ENOENT). ``stop_at_auth``: IP6_FH_F_AUTH, as nft_set_pktinfo_ipv6() asks."""
    at = 40
    for number, data in chain(packet):
        if number == IPPROTO_AH and stop_at_auth:
            return Last(number, at, 0)
        if number == IPPROTO_FRAGMENT and packet.fragment_offset:
            return None if packet.proto in EXTENSIONS and packet.proto != IPPROTO_NONE else Last(packet.proto, 0, packet.fragment_offset)
        at += len(data)
    return Last(packet.proto, at, 0)


def goes_on(packet: Packet) -> bool:
    """Whether a routing header has segments left: the transport checksum goes by the last of them, and to netfilter, which goes by the
    packet's destination, it is wrong (nf_ip6_checksum) unless the device has said that it is right."""
    return any(number == IPPROTO_ROUTING and data[3] for number, data in packet.ext_headers)


def skipped(packet: Packet) -> int | None:
    """ipv6_skip_exthdr(): the protocol that conntrack and bridge rules go by. None: there is no next header. A later fragment's is
    its fragment header."""
    if packet.fragment_offset:
        return IPPROTO_FRAGMENT
    return None if packet.proto == IPPROTO_NONE else packet.proto


def whole(packet: Packet) -> Packet:
    """The datagram that a first fragment belongs to, put together: how much longer it is nobody knows, nor what the rest holds."""
    return packet._replace(fragment_offset=0, more_fragments=False, unknown=packet.unknown | {"length", "payload"},
                           ext_headers=tuple(entry for entry in packet.ext_headers if entry[0] != IPPROTO_FRAGMENT))
