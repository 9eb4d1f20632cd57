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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_HEADER = Struct("=HH").unpack_from
_VALUE_AT = 36
"""Where a comparison's constant starts: behind its name, register, operation and three attribute headers."""

_ATTRIBUTE = Struct("=HH").pack
_HANDLE, _POSITION = _ATTRIBUTE(12, 3), _ATTRIBUTE(12, 6)
"""NFTA_RULE_HANDLE and NFTA_RULE_POSITION, 64 bits each."""
_EXPRESSIONS = (_ATTRIBUTE(0, 4)[2:], _ATTRIBUTE(0, 4 | 0x8000)[2:])
"""The type of NFTA_RULE_EXPRESSIONS, which kernels do not flag as the nest it is (nla_nest_start_noflag)."""

_comparisons: dict[bytes, tuple[int, int, bool] | None] = {}
"""By what stands in front of the constant: (first register byte, behind the last, whether they have to be equal)."""


Pattern = tuple[bytes, int, int, bytes, int, int, bytes, bool]
"""(How the message starts, where the header of its position is and that of its expressions without the length, what stands from
there up to the constant, where the constant starts and ends, what the registers hold, whether it had to be equal)."""


class RuledOut:
    """For one packet in one base chain."""

    __slots__ = ("_failed", "loads", "pattern", "regs", "run")

    def __init__(self, regs: Registers, run: Run) -> None:
        self.regs, self.run = regs, run
        self.loads: dict[bytes, tuple[int, int, bytes] | None] = {}
        """By expression: (first register byte, behind the last, what is stored there). Good until a rule acts on the packet."""
        self.pattern: Pattern | None = None
        """What ruled the last rule out, for those that are built like it."""
        self._failed = (0, 0, 0, False)
        """Of the last rule that was ruled out: where its constant starts, its length, the register byte, whether they had to be
        equal."""

    def forget(self) -> None:
        """The packet may be another one from now on."""
        self.loads.clear()
        self.pattern = None

    def skip(self, payloads: Sequence[bytes], position: int) -> int:
        """The first of ``payloads`` from ``position`` on that may not be ruled out as the one before was: the same loads, the same
        comparison, and a constant that differs as well. The registers hold the same behind each of them."""
        assert self.pattern is not None
        front, link, body, same, stop, end, value, equal = self.pattern
        count = len(payloads)
        while position < count:
            payload = payloads[position]
            if (payload[body:stop] != same or (payload[stop:end] == value) is equal or payload[link:link + 4] != _POSITION
                    or not payload.startswith(front)):
                break
            position += 1
        return position

    def learn(self, rule: Rule) -> None:
        """Makes a pattern of the rule that :meth:`by_expression` ruled out just now, if it is laid out as the kernel does it: names,
        handle, position, expressions (nf_tables_fill_rule_info)."""
        self.pattern = None
        payload, names = rule.payload, len(rule.front)
        front = payload[:names + 4]
        link, body = names + 12, names + 26
        if not names or front[names:] != _HANDLE or payload[link:link + 4] != _POSITION or payload[body:body + 2] not in _EXPRESSIONS:
            return
        start, size, register, equal = self._failed
        self.pattern = (front, link, body, payload[body:start], start, start + size, bytes(self.regs.data[register:register + size]), equal)

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
                        self._failed = (offset + 4 + _VALUE_AT, behind - start, start, equal)
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
