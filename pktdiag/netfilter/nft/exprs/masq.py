"""masquerade. net/netfilter/nft_masq.c: nft_masq_ipv4_eval, nft_masq_ipv6_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import NatRange
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.exprs.nat_range import as_verdict, proto_range, unknown_in
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import optional_register, u32


class Masq(NamedTuple):
    proto_min: int | None
    proto_max: int | None
    flags: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """The kernel takes the flags as they are: nft sets PROTO_SPECIFIED where ports are given."""
        hidden = unknown_in(regs, [(self.proto_min, 2), (self.proto_max, 2)])
        if hidden is not None:
            return hidden
        first, last = proto_range(regs, self.proto_min, self.proto_max)
        return as_verdict(run.services.masquerade(run.ctx, NatRange(self.flags, None, None, first, last)))

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Masq:
    return Masq(optional_register(attrs, 2), optional_register(attrs, 3), u32(attrs, 1, 0))
