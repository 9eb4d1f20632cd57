"""numgen: a counter or a random number. net/netfilter/nft_numgen.c; neither is reported by the kernel."""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import MalformedError, register, u32

INCREMENTAL, RANDOM = 0, 1


class Numgen(NamedTuple):
    dreg: int
    modulus: int
    type: int
    offset: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        if self.modulus == 1:
            regs.store(self.dreg, self.offset.to_bytes(4, sys.byteorder))
            return None
        kind = "random" if self.type == RANDOM else "inc"
        regs.store_draw(self.dreg, self.offset, self.modulus, f"the number that numgen {kind} mod {self.modulus} draws")
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Numgen:
    modulus = u32(attrs, 2)
    if not modulus:
        raise MalformedError("modulus 0")
    return Numgen(register(attrs, 1), modulus, u32(attrs, 3), u32(attrs, 4, 0))
