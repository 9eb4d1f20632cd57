"""Runs a classic BPF program over bytes only partly known. net/core/filter.c; Documentation/networking/filter.rst."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.xt.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_U32 = 0xFFFFFFFF
LD, LDX, ST, STX, ALU, JMP, RET, MISC = range(8)
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}


class Instruction(NamedTuple):
    """struct sock_filter."""

    code: int
    jt: int
    jf: int
    k: int


def run(code: Sequence[Instruction], wire: Wire) -> int | None:
    """The program's return value; 0 as well for a load beyond the packet; None where an unknown byte decides."""
    a: int | None = 0
    x: int | None = 0
    memory: list[int | None] = [None] * 16
    at = 0
    while at < len(code):
        op, jt, jf, k = code[at]
        at += 1
        kind = op & 7
        if kind == RET:
            return k if op & 0x18 == 0 else a
        if kind in (LD, LDX):
            value = _load(op, k, x, wire, memory)
            if value is _BEYOND:
                return 0
            if value is _AUXILIARY:
                return None
            loaded = value if isinstance(value, int) else None
            if kind == LD:
                a = loaded
            else:
                x = loaded
        elif kind == ST:
            memory[k & 15] = a
        elif kind == STX:
            memory[k & 15] = x
        elif kind == ALU:
            operand = x if op & 8 else k
            if op & 0xF0 in (0x30, 0x90) and operand == 0:
                return 0
            a = _alu(op & 0xF0, a, operand)
        elif kind == JMP:
            if op & 0xF0 == 0:
                at += k
                continue
            taken = _jump(op & 0xF0, a, x if op & 8 else k)
            if taken is None:
                return None
            at += jt if taken else jf
        elif op & 0xF8:
            a = x
        else:
            x = a
    return 0


class _Special:
    pass


_BEYOND, _AUXILIARY = _Special(), _Special()


def _load(op: int, k: int, x: int | None, wire: Wire, memory: list[int | None]) -> int | _Special | None:
    mode = op & 0xE0
    if mode == IMM:
        return k
    if mode == MEM:
        return memory[k & 15]
    if mode == LEN:
        return wire.length
    if k >= 0x80000000:
        return _AUXILIARY  # SKF_AD_OFF, SKF_NET_OFF, SKF_LL_OFF: things beside the packet
    if mode == IND:
        if x is None:
            return _AUXILIARY
        k = k + x & _U32
    field = wire.load(k, 1 if mode == MSH else _SIZES.get(op & 0x18, 4))
    if field is None:
        return _BEYOND
    value, known = field
    if mode == MSH:
        return (value & 0xF) << 2 if known & 0xF == 0xF else None
    full = (1 << 8 * _SIZES.get(op & 0x18, 4)) - 1
    return value if known == full else None


def _alu(op: int, a: int | None, operand: int | None) -> int | None:
    if a is None or operand is None:
        return 0 if op == 0x50 and (a == 0 or operand == 0) else None
    if op == 0x80:
        return -a & _U32
    results = {0x00: a + operand, 0x10: a - operand, 0x20: a * operand, 0x30: a // operand if operand else 0,
               0x40: a | operand, 0x50: a & operand, 0x60: a << (operand & 31), 0x70: a >> (operand & 31),
               0x90: a % operand if operand else 0, 0xA0: a ^ operand}
    return results.get(op, 0) & _U32


def _jump(op: int, a: int | None, operand: int | None) -> bool | None:
    if a is None or operand is None:
        return None
    return {0x10: a == operand, 0x20: a > operand, 0x30: a >= operand, 0x40: bool(a & operand)}.get(op, False)
