"""range: a register inside or outside of a closed interval. net/netfilter/nft_range.c: nft_range_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, doubt
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import data_value, register, u32


class Range(NamedTuple):
    sreg: int
    negated: bool
    low: bytes
    high: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        length = len(self.low)
        value = regs.load(self.sreg, length)
        bits = regs.unknown_bits(self.sreg, length)
        if bits is not None:
            number, mask = int.from_bytes(value, "big"), int.from_bytes(bits, "big")
            least, most = (number & ~mask).to_bytes(length, "big"), (number | mask).to_bytes(length, "big")
            if most < self.low or least > self.high:
                return None if self.negated else BREAK
            if self.low <= least and most <= self.high:
                return BREAK if self.negated else None
            verb = "lies outside" if self.negated else "lies within"
            var = regs.var(self.sreg, length)
            return doubt(var, f"{verb} {var.value(self.low)}-{var.value(self.high)}", (self.negated, self.low, self.high))
        return None if (self.low <= value <= self.high) != self.negated else BREAK

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Range:
    return Range(register(attrs, 1), u32(attrs, 2) == 1, data_value(attrs, 3), data_value(attrs, 4))
