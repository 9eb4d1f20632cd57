"""nat: snat and dnat to addresses and ports in registers. net/netfilter/nft_nat.c: nft_nat_eval"""

from __future__ import annotations

from pktdiag.model.kernel import NFPROTO_IPV4
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import NatRange
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.exprs.nat_range import MAP_IPS, NETMAP, PROTO_SPECIFIED, as_verdict, netmap, proto_range, unknown_in
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import optional_register, u32

SNAT, DNAT = 0, 1


class Nat(NamedTuple):
    type: int
    family: int
    addr_min: int | None
    addr_max: int | None
    proto_min: int | None
    proto_max: int | None
    flags: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """A packet conntrack does not track is none that nat chains see (nf_nat_inet_fn), so ct is there.

        inet tables: a rule for the other family does not match (nft_nat_inet_eval).
        """
        if self.family not in (0, run.pf) and self.family != 1:
            return BREAK
        size = 4 if run.pf == NFPROTO_IPV4 else 16
        hidden = unknown_in(regs, [(self.addr_min, size), (self.addr_max, size), (self.proto_min, 2), (self.proto_max, 2)])
        if hidden is not None:
            return hidden
        low = high = None
        flags = self.flags
        if self.addr_min is not None:
            low = regs.load(self.addr_min, size)
            high = regs.load(self.addr_max, size) if self.addr_max is not None else low
            flags |= MAP_IPS
            if self.flags & NETMAP:
                packet = run.skb.packet
                low = high = netmap(packet.src if self.type == SNAT else packet.dst, low, high)
        first, last = proto_range(regs, self.proto_min, self.proto_max)
        if self.proto_min is not None:
            flags |= PROTO_SPECIFIED
        nat_range = NatRange(flags, low, high, first, last)
        return as_verdict(run.services.nat_setup(run.ctx, nat_range, self.type == SNAT))

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Nat:
    low, proto = optional_register(attrs, 3), optional_register(attrs, 5)
    # the kernel dumps the end registers even where they equal the start (nft_nat_dump)
    return Nat(u32(attrs, 1), u32(attrs, 2), low, optional_register(attrs, 4), proto, optional_register(attrs, 6), u32(attrs, 7, 0))
