"""Passes over rules that a comparison with the packet rules out, of which a chain may have thousands.

Only what is plain is looked at: header fields and meta values known to the last bit, compared with constants. Everything else is
``evaluate``'s business, which comes to the same answer in thrice the time. (net/netfilter/nf_tables_core.c: nft_do_chain has a
fast path for the same pair, nft_cmp_fast_eval and nft_payload_fast_eval.)
"""

from __future__ import annotations

from struct import Struct

from pktdiag.netfilter.nft.exprs import decode
from pktdiag.netfilter.nft.registers import SIZE, Registers
from pktdiag.netfilter.nft.rule import Rule
from pktdiag.netfilter.nft.run import Run

_HEADER = Struct("=HH").unpack_from
_VALUE_AT = 36
"""Where a comparison's constant starts: behind its name, register, operation and three attribute headers."""

_comparisons: dict[bytes, tuple[int, int, bool] | None] = {}
"""By what stands in front of the constant: (first register byte, behind the last, whether they have to be equal)."""


class RuledOut:
    """For one packet in one base chain."""

    __slots__ = ("loads", "regs", "run")

    def __init__(self, regs: Registers, run: Run) -> None:
        self.regs, self.run = regs, run
        self.loads: dict[bytes, tuple[int, int, bytes] | None] = {}
        """By expression: (first register byte, behind the last, what is stored there). Good until a rule acts on the packet."""

    def by_expression(self, rule: Rule) -> int:
        """The number of the expression that rules it out, from 0; -1: it takes a closer look. Registers are filled as the
        expressions do it."""
        regs, loads, payload = self.regs, self.loads, rule.payload
        if regs.unknown is not None:
            return -1
        data = regs.data
        offset, end = rule.span()
        index = 0
        while offset + 4 <= end:
            length = _HEADER(payload, offset)[0]
            stop = offset + length
            if length < 4 or stop > end:
                return -1
            raw = payload[offset + 4:stop]
            if raw in loads:
                load = loads[raw]
                if load is None:
                    return -1
                data[load[0]:load[1]] = load[2]
            else:
                head = raw[:_VALUE_AT]
                if head not in _comparisons:
                    _comparisons[head] = _comparison(raw)
                found = _comparisons[head]
                if found is not None:
                    start, behind, equal = found
                    if (data[start:behind] == raw[_VALUE_AT:_VALUE_AT + behind - start]) is not equal:
                        return index
                else:
                    load = loads[raw] = self._load(raw)
                    if load is None:
                        return -1
                    data[load[0]:load[1]] = load[2]
            index += 1
            offset += length + 3 & ~3
        return -1

    def _load(self, raw: bytes) -> tuple[int, int, bytes] | None:
        """What a plain load stores; None for everything else."""
        from pktdiag.netfilter.nft.exprs.meta import MetaGet
        from pktdiag.netfilter.nft.exprs.payload import PayloadLoad, fetch
        from pktdiag.netfilter.nft.meta_values import meta_value

        expression = decode(raw)
        if isinstance(expression, PayloadLoad):
            found = fetch(self.run, expression.base, expression.offset, expression.length)
            value = found[0] if found is not None and (found[1] is None or not any(found[1])) else None
        elif isinstance(expression, MetaGet):
            known = meta_value(expression.key, self.run)
            value = known if isinstance(known, bytes) else None
        else:
            return None
        if value is None:
            return None
        value += bytes(-len(value) % 4)
        end = expression.dreg + len(value)
        return (expression.dreg, end, value) if end <= SIZE else None


def _comparison(raw: bytes) -> tuple[int, int, bool] | None:
    """Of an nft_cmp expression for (in)equality whose constant stands where it usually does; None for everything else."""
    from pktdiag.netfilter.nft.exprs.cmp import EQ, NEQ, Cmp

    expression = decode(raw)
    if not isinstance(expression, Cmp) or expression.op not in (EQ, NEQ):
        return None
    size = len(expression.data)
    if len(raw) != _VALUE_AT + (size + 3 & ~3) or raw[_VALUE_AT:_VALUE_AT + size] != expression.data:
        return None
    return expression.sreg, expression.sreg + size, expression.op == EQ
