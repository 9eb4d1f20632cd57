"""lookup: is a key in a set; with a map, what does it map to. net/netfilter/nft_lookup.c: nft_lookup_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers, doubt
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, NFT_CONTINUE
from pktdiag.netfilter.nft.wire import optional_register, register, string, u32


class Lookup(NamedTuple):
    set_name: str
    sreg: int
    dreg: int | None
    """0: the verdict register (a verdict map)."""
    inverted: bool

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        table = run.sets.get(run.table, self.set_name)
        if table is None:
            return Doubt(run.sets.missing(self.set_name), ("set", self.set_name))
        hidden = regs.unknown_bits(self.sreg, table.key_length)
        key = regs.load(self.sreg, table.key_length)
        if hidden is not None:
            var = regs.var(self.sreg, table.key_length)
            possible = table.possible(key, hidden)
            if possible is False:
                return None if self.inverted else BREAK
            if self.dreg is not None:
                return doubt(var, f"is in the map {self.set_name} and where it leads", ("map", self.set_name, key))
            verb = "is not" if self.inverted else "is"
            return doubt(var, f"{verb} in the set {self.set_name}", (self.inverted, self.set_name, key))
        found = table.find(key, run)
        if isinstance(found, Doubt):
            return found
        if (found is None) != self.inverted:
            return BREAK
        if found is None:
            return None
        # nft_set_elem_update_expr: counters and limits of the element itself, run after the data was copied
        outcome = table.run_element_expressions(found, regs, run)
        if outcome is not None:
            return outcome
        if self.dreg is not None:
            if found.verdict is not None:
                return None if found.verdict.code == NFT_CONTINUE else found.verdict
            if found.data is not None:
                regs.store(self.dreg, found.data)
        return None

    def acts(self) -> bool:
        return self.dreg == 0


def decode(attrs: dict[int, bytes]) -> Lookup:
    return Lookup(string(attrs, 1), register(attrs, 2), optional_register(attrs, 3), bool(u32(attrs, 5, 0) & 1))
