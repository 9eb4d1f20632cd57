"""bitwise: mask and xor, shifts, and and/or/xor of two registers. net/netfilter/nft_bitwise.c

Shifts work on 32-bit words in host byte order, with the carry going from the last word to the first one.
The two-register operations (NFT_BITWISE_AND, OR, XOR) came with Linux 6.13.
"""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import MalformedError, data_value, optional_register, register, u32

MASK_XOR, LSHIFT, RSHIFT, AND, OR, XOR = range(6)


class Bitwise(NamedTuple):
    """(sreg & mask) ^ xor."""

    sreg: int
    dreg: int
    length: int
    mask: bytes
    xor: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        length = self.length
        mask = int.from_bytes(self.mask, "big")
        value = int.from_bytes(regs.load(self.sreg, length), "big") & mask ^ int.from_bytes(self.xor, "big")
        bits = regs.unknown_bits(self.sreg, length)
        if bits is None:
            regs.store(self.dreg, value.to_bytes(length, "big"))
        else:
            left = int.from_bytes(bits, "big") & mask
            regs.store(self.dreg, value.to_bytes(length, "big"), left.to_bytes(length, "big"), regs.var(self.sreg, length))
        return None

    def acts(self) -> bool:
        return False


class Shift(NamedTuple):
    sreg: int
    dreg: int
    length: int
    left: bool
    shift: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        bits = regs.unknown_bits(self.sreg, self.length)
        var = regs.var(self.sreg, self.length) if bits else None
        value = self._shift(regs.load(self.sreg, self.length))
        regs.store(self.dreg, value, self._shift(bits) if bits else None, var)
        return None

    def _shift(self, value: bytes) -> bytes:
        padded = value + bytes(-len(value) % 4)
        words = [int.from_bytes(padded[at : at + 4], sys.byteorder) for at in range(0, len(padded), 4)]
        count, out, carry = self.shift, [], 0
        if self.left:
            for word in reversed(words):
                out.append((word << count | carry) & 0xFFFFFFFF)
                carry = word >> 32 - count
            out.reverse()
        else:
            for word in words:
                out.append(carry | word >> count)
                carry = word << 32 - count & 0xFFFFFFFF
        return b"".join(word.to_bytes(4, sys.byteorder) for word in out)

    def acts(self) -> bool:
        return False


class RegisterOp(NamedTuple):
    """sreg op sreg2 (or constant data)."""

    sreg: int
    dreg: int
    length: int
    op: int
    sreg2: int | None
    data: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        length = self.length
        one = int.from_bytes(regs.load(self.sreg, length), "big")
        two_bytes = self.data if self.sreg2 is None else regs.load(self.sreg2, length)
        two = int.from_bytes(two_bytes, "big")
        value = one & two if self.op == AND else one | two if self.op == OR else one ^ two
        hidden = int.from_bytes(regs.unknown_bits(self.sreg, length) or b"", "big")
        if self.sreg2 is not None:
            hidden |= int.from_bytes(regs.unknown_bits(self.sreg2, length) or b"", "big")
        if hidden:
            var = regs.var(self.sreg, length)
            regs.store(self.dreg, value.to_bytes(length, "big"), hidden.to_bytes(length, "big"), var)
        else:
            regs.store(self.dreg, value.to_bytes(length, "big"))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Bitwise | Shift | RegisterOp:
    op = u32(attrs, 6, MASK_XOR)
    sreg, dreg, length = register(attrs, 1), register(attrs, 2), u32(attrs, 3)
    if length > 64:
        raise MalformedError("length")
    if op == MASK_XOR:
        mask, xor = data_value(attrs, 4), data_value(attrs, 5)
        if len(mask) != length or len(xor) != length:
            raise MalformedError("mask length")
        return Bitwise(sreg, dreg, length, mask, xor)
    if op in (LSHIFT, RSHIFT):
        # the count is dumped as struct nft_data: a word in host byte order
        return Shift(sreg, dreg, length, op == LSHIFT, int.from_bytes(data_value(attrs, 7)[:4], sys.byteorder) & 31)
    if op in (AND, OR, XOR):
        sreg2 = optional_register(attrs, 8)
        data = b"" if sreg2 is not None else data_value(attrs, 7)
        if sreg2 is None and len(data) != length:
            raise MalformedError("data length")
        return RegisterOp(sreg, dreg, length, op, sreg2, data)
    raise MalformedError(f"operation {op}")
