"""redirect: to this host itself. net/netfilter/nft_redir.c: nft_redir_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import NatRange
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.exprs.nat_range import PROTO_SPECIFIED, as_verdict, proto_range, unknown_in
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import optional_register, u32


class Redir(NamedTuple):
    proto_min: int | None
    proto_max: int | None
    flags: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        hidden = unknown_in(regs, [(self.proto_min, 2), (self.proto_max, 2)])
        if hidden is not None:
            return hidden
        first, last = proto_range(regs, self.proto_min, self.proto_max)
        flags = self.flags | (PROTO_SPECIFIED if self.proto_min is not None else 0)
        return as_verdict(run.services.redirect(run.ctx, NatRange(flags, None, None, first, last)))

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Redir:
    return Redir(optional_register(attrs, 1), optional_register(attrs, 2), u32(attrs, 3, 0))
