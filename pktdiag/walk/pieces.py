"""A datagram that this host itself cuts into fragments: every one of them goes its own way from here.

``skb.extra["piece"]`` says which part of which datagram a fragment is; ``gathering`` puts them together again, and says in the end
what became of the datagram.

Sources: net/ipv4/ip_output.c (ip_do_fragment, ip_frag_next, ip_fraglist_prepare, ip_copy_metadata, __ip_append_data), net/ipv4/ip_options.c
(ip_options_fragment), net/ipv6/ip6_output.c (ip6_fragment, ip6_frag_next), net/ipv6/output_core.c (ip6_find_1stfragopt).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.ipopt import END, NOOP, places
from pktdiag.model.kernel import AF_INET, IPPROTO_FRAGMENT, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk.learned import IPV6_MIN_MTU
from pktdiag.walk.state import XMIT_ERROR, Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PIECES = 128
COPIED = 0x80
"""IPOPT_COPY"""


class Datagram(NamedTuple):
    """What was cut, as it was before."""

    number: int
    """Counts the datagrams cut in this walk."""
    packet: Packet
    size: int
    """Bytes behind its IP header, or behind what every IPv6 fragment repeats."""
    outer: Piece | None
    """It carries a frame that is itself a fragment's (a tunnel): which one of what."""


class Piece(NamedTuple):
    """One fragment: which of how many, and which bytes of the datagram it holds."""

    datagram: Datagram
    number: int
    of: int
    begin: int
    end: int

    def span(self) -> tuple[int, int, int, int, int]:
        """For ``Fate.piece``."""
        return self.datagram.number, self.begin, self.end, self.number, self.of


def piece_of(skb: Skb) -> Piece | None:
    found = skb.extra.get("piece")
    return found if isinstance(found, Piece) else None


def corked(skb: Skb, mtu: int) -> None:
    """__ip_append_data(), __ip6_append_data(): the socket's data is laid out in fragments for the first route's MTU as it is written. Who
    sends it keeps to that where they all fit (the list of fragments is the packet's frag_list)."""
    packet = skb.packet
    if packet.length > mtu and not packet.ext_headers:
        head = _repeated(packet)
        skb.extra["parts"] = _even(packet.length - packet.header_length, mtu - head)


def _repeated(packet: Packet) -> int:
    """Bytes of headers in each fragment. IPv6: of a packet without extension headers."""
    return 20 + len(packet.ip_options) if packet.family == AF_INET else 48


def _even(size: int, room: int) -> tuple[int, ...]:
    """As much as has room in each, in units of eight bytes."""
    step = room & ~7
    full, rest = divmod(size, step)
    if rest and full and rest + step <= room:  # only the last may end where it likes
        return (*[step] * (full - 1), rest + step)
    return (*[step] * full, rest) if rest else (step,) * full


def sizes(skb: Skb, mtu: int) -> tuple[int, ...]:
    """How many bytes each fragment holds: as the packet is laid out already (fast path), else as much as has room."""
    packet = skb.packet
    size, room = packet.length - packet.header_length, mtu - _repeated(packet)
    laid_out = skb.extra.get("parts")
    if isinstance(laid_out, tuple) and sum(laid_out) == size and not packet.fragment_offset and not packet.more_fragments \
            and all(part <= room for part in laid_out) and not any(part & 7 for part in laid_out[:-1]):
        return laid_out
    return _even(size, room)


def cut(walk: Walk, ns: NamespaceView, out: Link, skb: Skb, mtu: int, limit: str, send: Callable[[Skb], None]) -> None:
    """ip_do_fragment() / ip6_fragment() to pieces of at most ``mtu``, nor larger than those it came in. ``send`` gets one after the other;
    where it tells of an error, the others are not sent any more. ``limit``: whose MTU it is, in words."""
    packet = skb.packet
    v4, came_as = packet.family == AF_INET, skb.frag_max_size
    if came_as:
        mtu = min(mtu, came_as) if v4 else max(came_as, IPV6_MIN_MTU)
    parts = sizes(skb, mtu) if v4 or not (packet.ext_headers or mtu < IPV6_MIN_MTU) else ()
    whole = piece_of(skb)
    if not parts or len(parts) > MAX_PIECES or (packet.is_fragment and whole is None):
        walk.unsure(ns, "fragment", out, skb, f"how its fragments fare; a packet that is cut into {len(parts) or 'several'} pieces, is one "
                    f"itself, or has extension headers is not followed (ask with --size {mtu} for one that fits)")
        return
    if whole is not None and packet.is_fragment:
        datagram, begin = whole.datagram, packet.fragment_offset
    else:
        made = walk.memory.setdefault("datagrams", [])
        datagram, begin = Datagram(len(made), packet, sum(parts), whole), 0
        made.append(datagram)
    walk.most = max(walk.most, len(parts))
    lengths = [part + _repeated(packet) for part in parts]
    said = f"{lengths[0]} bytes each, the last {lengths[-1]}" if len(set(lengths[:-1])) == 1 and len(lengths) > 2 else \
        " and ".join(str(length) for length in lengths) + " bytes" if len(lengths) < 4 else f"{lengths[0]} bytes and less"
    walk.step(ns, "fragment", out, f"{packet.length} bytes exceed {limit}: sent as {len(parts)} fragments, {said}."
              if packet.length > mtu else f"{packet.length} bytes came in fragments of {mtu}, and go on in {len(parts)} such, {said}.",
              detail={"fragments": len(parts), "sizes": lengths})
    names = ("IpFragCreates", "IpFragOKs", "IpFragFails") if v4 else ("Ip6FragCreates", "Ip6FragOKs", "Ip6FragFails")
    waiting = "xmit-async" in skb.extra
    for number, part in enumerate(parts):
        one = _piece(skb, begin, part, number + 1 < len(parts) or packet.more_fragments)
        one.extra["piece"] = Piece(datagram, number + 1, len(parts), begin, begin + part)
        if waiting:
            one.extra["xmit-async"] = True
        begin += part
        walk.memory.pop(XMIT_ERROR, None)
        walk.piece = piece_of(one)
        send(one)
        walk.piece = whole
        if walk.memory.pop(XMIT_ERROR, False):
            if number + 1 < len(parts):
                walk.step(ns, "fragment", out, f"Fragment {number + 1} was refused: the {len(parts) - number - 1} behind it are not sent.")
            walk.count(ns, names[2])
            return
        walk.count(ns, names[0])
        if walk.in_process(skb):
            walk.run_backlog()  # whatever the piece sets in motion has happened when dev_queue_xmit() returns
            walk.piece = whole
        else:
            waiting = waiting or "xmit-async" in one.extra  # the first asks for the neighbour, all of them wait for the answer
    walk.count(ns, names[1])


def _piece(skb: Skb, begin: int, size: int, more: bool) -> Skb:
    """ip_frag_next() and ip_copy_metadata(): what is known of the packet is known of its pieces, but a later one has no ports."""
    made = skb.copy()
    made.local_df = False
    made.frag_max_size = 0
    made.extra.pop("parts", None)
    packet = skb.packet
    packet = packet._replace(length=_repeated(packet) + size, fragment_offset=begin, more_fragments=more, df=False)
    known, skipped = "payload" not in packet.unknown, begin - skb.packet.fragment_offset
    if not skipped:
        payload = skb.packet.payload[:max(0, size - _in_front(skb.packet))]
    else:
        skipped -= _in_front(skb.packet)
        payload = skb.packet.payload[skipped:skipped + size] if skipped >= 0 else b""
        if known and len(payload) < size:
            packet = packet._replace(unknown=packet.unknown | {"payload"})
    if begin:
        packet = packet._replace(sport=0, dport=0, icmp_type=0, icmp_code=0, icmp_id=0, tcp_flags=0, tcp_options=b"", inner=None)
        if packet.ip_options:
            packet = packet._replace(ip_options=_copied(packet.ip_options))
    made.packet = packet._replace(payload=payload)
    return made


def _in_front(packet: Packet) -> int:
    """Bytes between the IP header and what ``Packet.payload`` holds."""
    if packet.fragment_offset:
        return 0
    if packet.proto == IPPROTO_TCP:
        return 20 + len(packet.tcp_options)
    if packet.proto in (IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_ICMP, IPPROTO_ICMPV6):
        return 8
    return 4 if packet.has_ports else 0


def _copied(options: bytes) -> bytes:
    """ip_options_fragment(): options that not every fragment bears become no-operations in the later ones."""
    kept = bytearray(options)
    for at, kind, size in places(options):
        if kind in (END, NOOP):
            continue
        if size < 2 or at + size > len(kept):
            break
        if not kind & COPIED:
            kept[at:at + size] = bytes((NOOP,)) * size
    return bytes(kept)


def restored(packet: Packet, datagram: Datagram) -> Packet:
    """A fragment seen as what it is of: the whole packet, with addresses and what else has become of it on the way."""
    asked = datagram.packet
    packet = packet._replace(fragment_offset=0, more_fragments=False, length=asked.length, payload=asked.payload, inner=asked.inner,
                             ext_headers=tuple(entry for entry in packet.ext_headers if entry[0] != IPPROTO_FRAGMENT))
    if packet.has_ports and not packet.sport and not packet.dport:
        packet = packet._replace(sport=asked.sport, dport=asked.dport, tcp_flags=asked.tcp_flags, tcp_options=asked.tcp_options)
    elif packet.is_icmp and not packet.icmp_type:
        packet = packet._replace(icmp_type=asked.icmp_type, icmp_code=asked.icmp_code, icmp_id=asked.icmp_id)
    return packet._replace(unknown=packet.unknown | {"payload"} if "payload" in asked.unknown else packet.unknown - {"payload"})
