"""exthdr: IPv6 extension headers, IPv4 and TCP options, SCTP chunks. net/netfilter/nft_exthdr.c"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_DCCP, IPPROTO_FRAGMENT, IPPROTO_MH, IPPROTO_SCTP, IPPROTO_TCP
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.packet_bytes import slice_of
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u8, u32

IPV6, TCPOPT, IPV4, SCTP, DCCP = range(5)
F_PRESENT = 1


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
            return self._ipv4(regs, run)
        wanted = IPPROTO_SCTP if self.op == SCTP else IPPROTO_DCCP
        if not run.has_l4 or run.tprot != wanted:
            return self._absent(regs)
        if self.op == SCTP and "payload" not in run.skb.packet.unknown:
            found = self._chunk(run.skb.packet)
            if found is not None:
                if not found:
                    return self._absent(regs)
                regs.store(self.dreg, found)
                return None
        name = "the SCTP chunks" if self.op == SCTP else "the DCCP options"
        regs.store_unknown(self.dreg, 1 if self.flags & F_PRESENT else max(self.length, 1), Var(name, ("exthdr", self)))
        return None

    def _chunk(self, packet: Packet) -> bytes | None:
        """nft_exthdr_sctp_eval(): of the first chunk of that type; nothing where there is none or it is too short; None where it may stand
        behind what is known of the packet."""
        payload, at = packet.payload, 8  # from behind the ports
        while at + 4 <= len(payload):
            length = int.from_bytes(payload[at + 2:at + 4], "big")
            if not length:
                return b""
            if payload[at] == self.type:
                if self.flags & F_PRESENT:
                    return b"\1"
                whole = self.offset + self.length <= length and at + length <= len(payload)
                return payload[at + self.offset:at + self.offset + self.length] if whole else b""
            at += (length + 3) & ~3
        head = 20 + len(packet.ip_options) if len(packet.dst) == 4 else 40 + sum(len(header) for _, header in packet.ext_headers)
        return b"" if head + 4 + len(payload) >= packet.length else None

    def _absent(self, regs: Registers) -> Outcome:
        """With the present flag a missing header is a zero, without it the rule breaks."""
        if self.flags & F_PRESENT:
            regs.store(self.dreg, b"\0")
            return None
        return BREAK

    def _tcp(self, regs: Registers, run: Run) -> Outcome:
        """nft_exthdr_tcp_eval: to a packet that is no TCP at all, every option is missing (nft_tcp_header_pointer)."""
        packet = run.skb.packet
        if run.tprot != IPPROTO_TCP or not run.has_l4 or run.image.fragoff:
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
        """nft_exthdr_ipv6_eval: ipv6_find_hdr() for this header, wherever the packet's protocol was found. A mobility header is the
        packet's transport."""
        packet = run.skb.packet
        if len(packet.dst) != 16 or not run.is_ip:
            return BREAK
        if packet.ext_headers or packet.fragment_offset or packet.more_fragments:
            from pktdiag.model.exthdr import find

            header = find(packet, self.type)
            start = header.offset if header is not None else None
        else:
            start = None
        if start is None and self.type == packet.proto == IPPROTO_MH and not packet.fragment_offset:
            start = packet.header_length
        if start is None:
            return self._absent(regs)
        if self.flags & F_PRESENT:
            regs.store(self.dreg, b"\x01")
            return None
        return self._bytes(regs, run, start, "the fragment identification" if self.type == IPPROTO_FRAGMENT else "the extension header")

    def _ipv4(self, regs: Registers, run: Run) -> Outcome:
        """nft_exthdr_ipv4_eval, ipv4_find_option: the options as a program would set them. Those that take a privilege are an error
        where the process that happens to run on the CPU has none (ns_capable in __ip_options_compile)."""
        packet = run.skb.packet
        if len(packet.dst) != 4 or not run.is_ip:
            return BREAK
        if not packet.ip_options:
            return self._absent(regs)
        from pktdiag.model import ipopt

        found = ipopt.compiled(packet.ip_options, False)
        start = {ipopt.RR: found.rr, ipopt.RA: found.router_alert, ipopt.LSRR: 0 if found.strict else found.srr,
                 ipopt.SSRR: found.srr if found.strict else 0}.get(self.type, 0)
        if not start:
            return self._absent(regs)
        if found.privileged:
            regs.store_unknown(self.dreg, 1 if self.flags & F_PRESENT else self.length, Var(
                "what a rule sees of options that take CAP_NET_RAW (it goes by the process on the CPU)", ("ip option", self)))
            return None
        if self.flags & F_PRESENT:
            regs.store(self.dreg, b"\x01")
            return None
        return self._bytes(regs, run, start, "what hosts on the way wrote into the options")

    def _bytes(self, regs: Registers, run: Run, start: int, name: str) -> Outcome:
        """skb_copy_bits(): nothing keeps it within the header."""
        shape = run.image
        found = slice_of(shape.data, shape.unknown, shape.length, start + self.offset, self.length)
        if found is None:
            return BREAK
        regs.store(self.dreg, *found, Var(name, ("exthdr", self)))
        return None

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
        if run.tprot != IPPROTO_TCP or not run.has_l4 or run.image.fragoff:
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
        if run.tprot != IPPROTO_TCP or not run.has_l4 or run.image.fragoff:
            return BREAK
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
