"""dynset: adds, updates or deletes a set element from the packet path. net/netfilter/nft_dynset.c: nft_dynset_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Expression, Outcome
from pktdiag.netfilter.nft.exprs.connlimit import Connlimit
from pktdiag.netfilter.nft.exprs.limit import Limit
from pktdiag.netfilter.nft.exprs.quota import Quota
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.set_elements import Element
from pktdiag.netfilter.nft.sets import Set
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import optional_register, register, string, u32, u64, walk

ADD, UPDATE, DELETE = range(3)


class Dynset(NamedTuple):
    set_name: str
    op: int
    sreg_key: int
    sreg_data: int | None
    timeout: int
    """Milliseconds; 0: the set's default."""
    raw_expressions: tuple[bytes, ...]
    inverted: bool

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        table = run.sets.get(run.table, self.set_name)
        if table is None:
            return Doubt(run.sets.missing(self.set_name), ("set", self.set_name))
        length = table.key_length
        if regs.unknown_bits(self.sreg_key, length):
            return Doubt(Unknown(f"the set {self.set_name} takes the element"), ("dynset", self.set_name))
        key = regs.load(self.sreg_key, length)
        memory = table.memory_key(run, key)
        if self.op == DELETE:
            run.services.conns[memory] = None
            return None
        element = table.find(key, run, catchall=False)
        if isinstance(element, Doubt):
            return element
        if element is None:
            return self._new(regs, run, table, key)
        outcome = table.run_element_expressions(element, regs, run)
        if outcome is not None:
            return outcome
        return BREAK if self.inverted else None

    def _new(self, regs: Registers, run: Run, table: Set, key: bytes) -> Outcome:
        """A new element starts with full token buckets and no connections; a full set takes none."""
        data = regs.load(self.sreg_data, table.info.data_length) if self.sreg_data is not None else None
        raw = self.raw_expressions or table.info.raw_expressions
        element = Element(key, None, 0, data, None, "", self.timeout or table.info.timeout, None, raw, b"")
        run.services.conns[table.memory_key(run, key)] = element
        size = table.info.size
        if size is not None and size <= 256 and len(table.elements()) >= size:
            return None if self.inverted else BREAK
        for expression in element.expressions():
            outcome = _fresh(expression, regs, run, table.memory_key(run, key))
            if outcome is not None:
                return outcome
        return BREAK if self.inverted else None

    def acts(self) -> bool:
        return True


def _fresh(expression: Expression, regs: Registers, run: Run, memory: object) -> Outcome:
    if isinstance(expression, Limit):
        return BREAK if expression.inverted else None  # the bucket is full: not exceeded
    if isinstance(expression, Connlimit):
        exceeded = expression.limit < 1
        return BREAK if exceeded != expression.inverted else None
    if isinstance(expression, Quota):
        return expression.charge(run, ("nft quota", memory))
    return expression.evaluate(regs, run)


def decode(attrs: dict[int, bytes]) -> Dynset:
    if 10 in attrs:
        blob = attrs[10]
        raw = tuple(blob[start:end] for kind, start, end in walk(blob) if kind == 1)
    else:
        raw = (attrs[7],) if 7 in attrs else ()
    return Dynset(string(attrs, 1), u32(attrs, 3), register(attrs, 4), optional_register(attrs, 5), u64(attrs, 6, 0), raw,
                  bool(u32(attrs, 9, 0) & 1))
