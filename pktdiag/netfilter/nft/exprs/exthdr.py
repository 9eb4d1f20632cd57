"""exthdr: IPv6 extension headers, IPv4 and TCP options, SCTP chunks. net/netfilter/nft_exthdr.c"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_TCP
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.packet_bytes import slice_of
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, NF_DROP, Verdict
from pktdiag.netfilter.nft.wire import register, u8, u32

IPV6, TCPOPT, IPV4, SCTP, DCCP = range(5)
F_PRESENT = 1
IPPROTO_FRAGMENT, IPPROTO_MH = 44, 135


class ExthdrGet(NamedTuple):
    op: int
    type: int
    offset: int
    length: int
    flags: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        if self.op == TCPOPT:
            return self._tcp(regs, run)
        if self.op == IPV6:
            return self._ipv6(regs, run)
        if self.op == IPV4:
            # the packets asked about carry no IPv4 options
            return self._absent(regs) if len(run.skb.packet.dst) == 4 and run.is_ip else BREAK
        wanted = IPPROTO_SCTP if self.op == SCTP else IPPROTO_DCCP
        if not run.has_l4 or run.skb.packet.proto != wanted:
            return self._absent(regs)
        name = "the SCTP chunks" if self.op == SCTP else "the DCCP options"
        regs.store_unknown(self.dreg, 1 if self.flags & F_PRESENT else max(self.length, 1), Var(name, ("exthdr", self)))
        return None

    def _absent(self, regs: Registers) -> Outcome:
        """With the present flag a missing header is a zero, without it the rule breaks."""
        if self.flags & F_PRESENT:
            regs.store(self.dreg, b"\0")
            return None
        return BREAK

    def _tcp(self, regs: Registers, run: Run) -> Outcome:
        """nft_exthdr_tcp_eval: to a packet that is no TCP at all, every option is missing (nft_tcp_header_pointer)."""
        packet = run.skb.packet
        if packet.proto != IPPROTO_TCP or not run.has_l4 or run.image.fragoff:
            return self._absent(regs)
        if "tcp_options" in packet.unknown:
            length = 1 if self.flags & F_PRESENT else self.length
            regs.store_unknown(self.dreg, length, Var("the TCP options", ("tcpopt", self.type, self.offset)))
            return None
        at = find_option(packet.tcp_options, self.type)
        if at is None:
            return self._absent(regs)
        if self.flags & F_PRESENT:
            regs.store(self.dreg, b"\x01")
            return None
        value = packet.tcp_options[at + self.offset : at + self.offset + self.length]
        size = 1 if self.type < 2 else packet.tcp_options[at + 1]
        if self.offset + self.length > size or len(value) < self.length:
            return self._absent(regs)
        regs.store(self.dreg, value)
        return None

    def _ipv6(self, regs: Registers, run: Run) -> Outcome:
        """nft_exthdr_ipv6_eval: of all extension headers the packets asked about can have a fragment header. A mobility header is the
        packet's transport."""
        packet = run.skb.packet
        if len(packet.dst) != 16 or not run.is_ip:
            return BREAK
        shape = run.image
        if self.type == packet.proto == IPPROTO_MH and not shape.fragoff:
            if self.flags & F_PRESENT:
                regs.store(self.dreg, b"\x01")
                return None
            found = slice_of(shape.data, shape.unknown, shape.length, shape.thoff + self.offset, self.length)
            if found is None:
                return BREAK
            regs.store(self.dreg, *found, Var("the mobility header", ("exthdr", self)))
            return None
        if self.type == IPPROTO_FRAGMENT and shape.thoff == 48:
            if self.flags & F_PRESENT:
                regs.store(self.dreg, b"\x01")
                return None
            start = 40 + self.offset
            regs.store(self.dreg, shape.data[start : start + self.length], shape.unknown[start : start + self.length],
                       Var("the fragment identification", "frag id"))
            return None
        return self._absent(regs)

    def acts(self) -> bool:
        return False


class ExthdrSet(NamedTuple):
    type: int
    offset: int
    length: int
    sreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_exthdr_tcp_set_eval: the MSS is only ever made smaller."""
        packet = run.skb.packet
        if packet.proto != IPPROTO_TCP or not run.has_l4 or run.image.fragoff:
            return BREAK
        at = find_option(packet.tcp_options, self.type)
        if at is None:
            return None
        value = regs.load(self.sreg, self.length)
        start = at + self.offset
        old = packet.tcp_options[start : start + self.length]
        if self.type == 2 and self.length == 2 and int.from_bytes(old, "big") <= int.from_bytes(value, "big"):
            return None
        options = packet.tcp_options[:start] + value + packet.tcp_options[start + self.length :]
        run.skb.packet = packet._replace(tcp_options=options)
        return None

    def acts(self) -> bool:
        return True


class ExthdrStrip(NamedTuple):
    """reset tcp option: overwritten with no-operations (nft_exthdr_tcp_strip_eval)."""

    type: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        packet = run.skb.packet
        if packet.proto != IPPROTO_TCP or not run.has_l4:
            return BREAK
        if run.image.fragoff:
            return Verdict(NF_DROP)
        at = find_option(packet.tcp_options, self.type)
        if at is not None:
            size = packet.tcp_options[at + 1] if self.type > 1 and at + 1 < len(packet.tcp_options) else 1
            options = packet.tcp_options[:at] + b"\x01" * size + packet.tcp_options[at + size :]
            run.skb.packet = packet._replace(tcp_options=options)
        return None

    def acts(self) -> bool:
        return True


def find_option(options: bytes, kind: int) -> int | None:
    """Offset of the first TCP option of a kind (optlen: end and no-operation are one byte long)."""
    at = 0
    while at < len(options) - 1:  # the kernel never looks at the very last byte
        if options[at] == kind:
            return at
        at += 1 if options[at] <= 1 else options[at + 1] or 1
    return None


def decode(attrs: dict[int, bytes]) -> ExthdrGet | ExthdrSet | ExthdrStrip:
    kind, op = u8(attrs, 2), u32(attrs, 6, IPV6)
    if 7 in attrs:
        return ExthdrSet(kind, u32(attrs, 3), u32(attrs, 4), register(attrs, 7))
    if 1 not in attrs:
        return ExthdrStrip(kind)
    return ExthdrGet(op, kind, u32(attrs, 3), u32(attrs, 4), u32(attrs, 5, 0), register(attrs, 1))
