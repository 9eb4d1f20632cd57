"""The packet being asked about: one IP packet, its fields in host byte order, its addresses packed.

An address is ``bytes`` everywhere in pktdiag: 4 for IPv4, 16 for IPv6, network byte order, so that prefixes are
integer arithmetic and rules compare them as the kernel does.
"""

from __future__ import annotations

from _socket import inet_ntop, inet_pton  # the C module: importing `socket` costs 6 ms of start-up

from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    PORT_PROTOS,
    PROTO_NAMES,
    TCP_SYN,
)
from pktdiag.model.record import NamedTuple

Address = bytes


def parse_address(text: str) -> Address:
    """Packs an IPv4 or IPv6 address. Raises ValueError when ``text`` is neither (zone ids are not accepted)."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except OSError:
        raise ValueError(f"{text!r} is not an IP address") from None


def format_address(address: Address) -> str:
    """The canonical text of a packed address (RFC 5952 for IPv6)."""
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def prefix_mask(length: int, bits: int) -> int:
    """The netmask of a ``length``-bit prefix in an address of ``bits`` bits, as an integer."""
    return ((1 << length) - 1) << (bits - length) if length else 0


def in_prefix(address: Address, prefix: Address, length: int) -> bool:
    """Whether ``address`` lies in ``prefix/length``; False when the families differ."""
    if len(address) != len(prefix):
        return False
    shift = len(address) * 8 - length
    return int.from_bytes(address, "big") >> shift == int.from_bytes(prefix, "big") >> shift


_TURNED = {"sport": "dport", "dport": "sport"}


class Packet(NamedTuple):
    """One IP packet as it stands at one point of its way.

    A field that nobody can know before the packet exists (a TCP sequence number, an IP id) is listed by name in
    ``unknown``; a rule that reads it cannot be decided and splits the walk.
    """

    src: Address
    dst: Address
    proto: int
    """IANA protocol number of the transport header."""
    sport: int = 0
    dport: int = 0
    """Ports in host order; 0 for protocols without ports."""
    ttl: int = 64
    """IPv4 TTL or IPv6 hop limit."""
    tos: int = 0
    """The whole TOS / traffic class byte (DSCP << 2 | ECN)."""
    length: int = 60
    """Bytes of the whole IP packet, IP header included."""
    df: bool = True
    """IPv4 don't-fragment."""
    tcp_flags: int = TCP_SYN
    """The TCP flag byte; meaningless for other protocols."""
    icmp_type: int = 0
    icmp_code: int = 0
    icmp_id: int = 0
    """ICMP/ICMPv6 type, code and echo identifier; meaningless for other protocols."""
    inner: Packet | None = None
    """For an ICMP error: the packet it quotes, as quoted."""
    payload: bytes = b""
    """Transport payload where known (may be shorter than ``length`` implies). Of SCTP and DCCP: all behind the ports; of protocols
    without a header here (AH, ESP, IGMP, …): all of it."""
    fragment_offset: int = 0
    more_fragments: bool = False
    tcp_options: bytes = b""
    unknown: frozenset[str] = frozenset(("ip_id", "tcp_seq", "tcp_ack", "tcp_window", "checksum", "flow_label", "payload"))
    ext_headers: tuple[tuple[int, bytes], ...] = ()
    """IPv6: (number, the whole header) in their order. The first byte (what follows) is filled in by whoever makes bytes
    (``model.exthdr``). An authentication header is one of them; ESP and mobility headers are the packet's ``proto``. A fragment
    header says what the two fields above say, and which datagram; without one they imply it, last."""
    ip_options: bytes = b""
    """IPv4, padded to four bytes. "ip_option_data" in ``unknown``: the addresses and times recorded in them."""

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return AF_INET if len(self.dst) == 4 else AF_INET6

    @property
    def has_ports(self) -> bool:
        return self.proto in PORT_PROTOS

    @property
    def is_fragment(self) -> bool:
        return self.more_fragments or self.fragment_offset > 0

    @property
    def bears_ports(self) -> bool:
        """Whether they stand in it: of a datagram's fragments in the first one only."""
        return self.has_ports and not self.fragment_offset

    @property
    def is_icmp(self) -> bool:
        return self.proto == (IPPROTO_ICMP if len(self.dst) == 4 else IPPROTO_ICMPV6)

    @property
    def header_length(self) -> int:
        """Bytes in front of the transport header: IPv4 with its options, IPv6 with its extension headers."""
        if len(self.dst) == 4:
            return 20 + len(self.ip_options)
        if not self.ext_headers:
            return 48 if self.is_fragment else 40
        from pktdiag.model.exthdr import chain

        return 40 + sum(len(data) for _, data in chain(self))

    def turned(self) -> Packet:
        """From where it was going to where it came from, ports and what is unknown about them with it; not the flow label, nor
        options and extension headers."""
        unknown = self.unknown
        if "sport" in unknown or "dport" in unknown:
            unknown = frozenset(_TURNED.get(name, name) for name in unknown)
        plain = self.plain() if self.ext_headers or self.ip_options else self
        return plain._replace(src=self.dst, dst=self.src, sport=self.dport, dport=self.sport, unknown=unknown | {"flow_label"})

    def plain(self) -> Packet:
        """Without options and extension headers, and by so much shorter."""
        bare = self._replace(ext_headers=(), ip_options=b"", fragment_offset=0, more_fragments=False)
        return bare._replace(length=self.length - self.header_length + bare.header_length)

    def describe(self) -> str:
        """``tcp 198.51.100.1:40000 > 203.0.113.5:80``, in the order tcpdump prints."""
        source, destination = self.ends()
        return f"{PROTO_NAMES.get(self.proto, f'proto {self.proto}')} {source} > {destination}"

    def ends(self) -> tuple[str, str]:
        """Where from and where to, with the ports it has (a later fragment has none); ``?`` for one that is drawn at random."""
        if not self.bears_ports:
            return format_address(self.src), format_address(self.dst)
        return (endpoint(self.src, "?" if "sport" in self.unknown else self.sport),
                endpoint(self.dst, "?" if "dport" in self.unknown else self.dport))


def endpoint(address: Address, port: int | str) -> str:
    """``192.0.2.1:80`` or ``[2001:db8::1]:80``."""
    text = format_address(address)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


class Arp(NamedTuple):
    """The ARP payload of a frame (struct arphdr plus addresses, Ethernet and IPv4 only): ``Skb.arp``."""

    op: int
    """ARPOP_*: 1 request, 2 reply."""
    sender_mac: bytes
    sender: Address
    target_mac: bytes
    """Zeroes in a request."""
    target: Address
