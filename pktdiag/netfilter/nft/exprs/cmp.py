"""cmp: a register against a constant. net/netfilter/nft_cmp.c: nft_cmp_eval (memcmp, so big endian order)."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, doubt
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import MalformedError, data_value, register, u32

EQ, NEQ, LT, LTE, GT, GTE = range(6)
SYMBOLS = ("==", "!=", "<", "<=", ">", ">=")


class Cmp(NamedTuple):
    sreg: int
    op: int
    data: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        data = self.data
        start = self.sreg
        value = regs.data[start : start + len(data)]
        if regs.unknown is not None:
            bits = regs.unknown_bits(start, len(data))
            if bits is not None:
                return self._partly_known(bytes(value), bits, regs)
        op = self.op
        if op == EQ:
            return None if value == data else BREAK
        if op == NEQ:
            return None if value != data else BREAK
        return None if _ordered(op, bytes(value), data) else BREAK

    def _partly_known(self, value: bytes, bits: bytes, regs: Registers) -> Outcome:
        """Decides from the known bits where these suffice: the least and the greatest value it can have."""
        number, mask, wanted = (int.from_bytes(part, "big") for part in (value, bits, self.data))
        if self.op in (EQ, NEQ):
            if number & ~mask != wanted & ~mask:
                return BREAK if self.op == EQ else None
        else:
            low, high = number & ~mask, number | mask
            width = len(value)
            outcomes = {_ordered(self.op, edge.to_bytes(width, "big"), self.data) for edge in (low, high)}
            if len(outcomes) == 1:
                return None if outcomes.pop() else BREAK
        var = regs.var(self.sreg, len(self.data))
        if self.op == NEQ:
            return doubt(var, f"is not {var.value(self.data)}", ("not", self.data, mask))
        return doubt(var, f"{'is' if self.op == EQ else SYMBOLS[self.op]} {var.value(self.data)}", (self.op, self.data, mask))

    def acts(self) -> bool:
        return False


def _ordered(op: int, value: bytes, data: bytes) -> bool:
    if op == LT:
        return value < data
    if op == LTE:
        return value <= data
    if op == GT:
        return value > data
    return value >= data


def decode(attrs: dict[int, bytes]) -> Cmp:
    op = u32(attrs, 2)
    if op > GTE:
        raise MalformedError(f"operation {op}")
    return Cmp(register(attrs, 1), op, data_value(attrs, 3))
