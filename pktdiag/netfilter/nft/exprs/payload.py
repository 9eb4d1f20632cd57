"""payload: header bytes into registers, and registers into header bytes. net/netfilter/nft_payload.c"""

from __future__ import annotations

from pktdiag.model.kernel import (
    ETH_P_IP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NFPROTO_ARP,
    PORT_PROTOS,
    TCP_SYN,
)
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.packet_bytes import (
    INNER_HEADER,
    LL_HEADER,
    NETWORK_HEADER,
    TRANSPORT_HEADER,
    image,
    link_header,
    slice_of,
)
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

HEADER_NAMES = ("link layer", "network", "transport", "inner")


class PayloadLoad(NamedTuple):
    base: int
    offset: int
    length: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_payload_eval: too short a packet, or no such header, breaks the rule."""
        found = fetch(run, self.base, self.offset, self.length)
        if found is None:
            return BREAK
        regs.store(self.dreg, *found, describe(run, self.base, self.offset, self.length) if found[1] else None)
        return None

    def acts(self) -> bool:
        return False


class PayloadSet(NamedTuple):
    base: int
    offset: int
    length: int
    sreg: int
    csum_type: int
    csum_offset: int
    csum_flags: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_payload_set_eval."""
        from pktdiag.netfilter.nft.write_back import write, write_link

        value = regs.load(self.sreg, self.length)
        if self.base == LL_HEADER:
            if link_header(run.skb, False) is None:
                return BREAK
            write_link(run.skb, self.offset, value)
            return None
        if not run.is_ip:
            return BREAK
        start = header_start(run, self.base)
        if start is None:
            return BREAK
        packet = run.skb.packet
        if start + self.offset + self.length > image(packet).length:
            return BREAK
        unknown = regs.unknown_bits(self.sreg, self.length)
        if self.base == NETWORK_HEADER and self.offset < 4 and len(packet.dst) == 16 and self._sets_label(packet, value, unknown):
            run.skb.extra["flow label written"] = True
        run.skb.packet = write(packet, start + self.offset, value, unknown)
        return None

    def _sets_label(self, packet: Packet, value: bytes, unknown: bytes | None) -> bool:
        """Whether bits of IPv6's flow label become others, or known ones; what was read and is put back does not."""
        shape = image(packet)
        each = zip(range(self.offset, 4), b"\x00\x0f\xff\xff"[self.offset:], value, unknown or bytes(4))
        return any(label & ~hidden & (shape.unknown[at] | shape.data[at] ^ new) for at, label, new, hidden in each)

    def acts(self) -> bool:
        return True


def header_start(run: Run, base: int) -> int | None:
    """Offset of a header from the network header; None: the packet has none the kernel would look at."""
    if base == NETWORK_HEADER:
        return 0
    if not run.has_l4:
        return None
    shape = run.image
    if shape.fragoff:
        return None
    if base == TRANSPORT_HEADER:
        return shape.thoff
    if base == INNER_HEADER:  # __nft_payload_inner_offset
        if shape.tprot == IPPROTO_UDP:
            return shape.thoff + 8
        if shape.tprot == IPPROTO_TCP and "tcp_options" in run.skb.packet.unknown:
            # How long the header is is not known, but that a SYN has nothing behind it (but for TCP fast open).
            return None if run.skb.packet.tcp_flags & TCP_SYN else shape.thoff + 20
        if shape.tprot == IPPROTO_TCP:
            return shape.thoff + (shape.data[shape.thoff + 12] >> 4) * 4 if len(shape.data) > shape.thoff + 12 else None
    return None


def fetch(run: Run, base: int, offset: int, length: int) -> tuple[bytes, bytes | None] | None:
    """Bytes of one header with their unknown bits; None breaks the rule."""
    skb = run.skb
    if base == LL_HEADER:
        header = link_header(skb, offset + length > 12)
        if header is None:
            return None
        data, unknown = header
        if offset + length > len(data):
            body = run.image
            return slice_of(data + body.data, unknown + body.unknown, len(data) + body.length, offset, length)
        return data[offset : offset + length], None
    if not run.is_ip:
        if (base == NETWORK_HEADER and run.pf == NFPROTO_ARP) or (skb.arp is not None and base == NETWORK_HEADER):
            from pktdiag.netfilter.nft.arp_bytes import arp_image

            data, unknown = arp_image(skb)
            return slice_of(data, unknown, len(data), offset, length)
        if base == NETWORK_HEADER:
            return bytes(length), b"\xff" * length
        return None
    shape = run.image
    start = header_start(run, base)
    if start is None and shape.fragoff and run.has_l4 and base == TRANSPORT_HEADER and length in (1, 2, 4) and not offset % length:
        # nft_payload_fast_eval(): loads of such a size and place do not ask whether it is a later fragment, and read what it carries in
        # the place of a header; in IPv6, where none was found, from the IPv6 header on
        start = shape.thoff if len(skb.packet.dst) == 4 else 0
    if start is None:
        return None
    return slice_of(shape.data, shape.unknown, shape.length, start + offset, length)


_FIELDS = {
    (TRANSPORT_HEADER, 6, 4): "the TCP sequence number", (TRANSPORT_HEADER, 6, 8): "the TCP acknowledgement number",
    (TRANSPORT_HEADER, 6, 14): "the TCP window", (TRANSPORT_HEADER, 6, 16): "the TCP checksum",
    (TRANSPORT_HEADER, 17, 6): "the UDP checksum",
    (TRANSPORT_HEADER, 1, 2): "the ICMP checksum", (TRANSPORT_HEADER, 58, 2): "the ICMPv6 checksum",
    (NETWORK_HEADER, 4, 4): "the IP identification",
    (NETWORK_HEADER, 4, 10): "the IP header checksum", (NETWORK_HEADER, 6, 1): "the flow label",
    (TRANSPORT_HEADER, 1, 6): "the ICMP sequence number", (TRANSPORT_HEADER, 58, 6): "the ICMPv6 sequence number",
}


def describe(run: Run, base: int, offset: int, length: int) -> Var:
    """Names bytes that cannot be known; the same bytes of the same packet are one quantity, and so are those of its later fragments:
    one of them that is lost is as much as all."""
    packet = run.skb.packet
    if base == TRANSPORT_HEADER and packet.fragment_offset:
        where = f"{offset} to {offset + length - 1}" if length > 1 else str(offset)
        return Var(f"what later fragments carry at byte {where} (taken for the header that they do not have)",
                   ("payload", base, offset, length, packet.src, packet.dst, "later"))
    selector = packet.proto if base == TRANSPORT_HEADER else (4 if run.skb.ethertype == ETH_P_IP else 6)
    text = _FIELDS.get((base, selector, offset))
    port = base == TRANSPORT_HEADER and packet.proto in PORT_PROTOS and length == 2 and offset in (0, 2)
    if port:
        text = f"the {'destination' if offset else 'source'} port drawn at random"
    elif text is None:
        text = f"bytes {offset} to {offset + length - 1} of the {HEADER_NAMES[base]} header"
    return Var(text, ("payload", base, offset, length, packet.src, packet.dst), "big" if port else "")


def decode(attrs: dict[int, bytes]) -> PayloadLoad | PayloadSet:
    base, offset, length = u32(attrs, 2), u32(attrs, 3), u32(attrs, 4)
    if 5 in attrs:
        return PayloadSet(base, offset, length, register(attrs, 5), u32(attrs, 6, 0), u32(attrs, 7, 0), u32(attrs, 8, 0))
    return PayloadLoad(base, offset, length, register(attrs, 1))



