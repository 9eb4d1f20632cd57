"""byteorder: between host and network order, in units of 2, 4 or 8 bytes. net/netfilter/nft_byteorder.c"""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import MalformedError, register, u32


class Byteorder(NamedTuple):
    sreg: int
    dreg: int
    hton: bool
    length: int
    size: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        bits = regs.unknown_bits(self.sreg, self.length)
        var = regs.var(self.sreg, self.length) if bits else None
        value = self._swap(regs.load(self.sreg, self.length))
        regs.store(self.dreg, value, self._swap(bits) if bits else None, var)
        return None

    def _swap(self, value: bytes) -> bytes:
        if sys.byteorder == "big":
            return value
        return b"".join(value[at : at + self.size][::-1] for at in range(0, len(value), self.size))

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Byteorder:
    size, length = u32(attrs, 5), u32(attrs, 4)
    if size not in (2, 4, 8) or length > 64:
        raise MalformedError(f"size {size}")
    return Byteorder(register(attrs, 1), register(attrs, 2), u32(attrs, 3) == 1, length, size)
