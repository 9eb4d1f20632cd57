"""lookup: is a key in a set; with a map, what does it map to. net/netfilter/nft_lookup.c: nft_lookup_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers, Var, doubt
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.sets import Element
from pktdiag.netfilter.nft.verdict import BREAK, NFT_CONTINUE, name
from pktdiag.netfilter.nft.wire import optional_register, register, string, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


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
                choices = table.candidates(key, hidden)
                if choices is not None:
                    return self._choose(regs, run, var, choices)
                if self.dreg == 0:
                    return self._lead(regs, run, var, table.elements())
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
        return self._take(regs, found) if self.dreg is not None else None

    def _choose(self, regs: Registers, run: Run, var: Var, choices: list[Element]) -> Outcome:
        """A map with an unknown key: the walk is split on each place it may lead to."""
        for each in choices:
            what = f"is 0x{each.key.hex()}" if each.key else "is none of those in the map"
            question = Unknown(f"{var.text} {what} (map {self.set_name})")
            if run.services.decide(question, ("nft", run.ns.id, var.key, self.set_name, each.key) if var.key is not None else None):
                return self._take(regs, each)
        return BREAK

    def _lead(self, regs: Registers, run: Run, var: Var, elements: Iterable[Element]) -> Outcome:
        """The same for a map of ranges with verdicts: on each verdict there is."""
        ways = {each.verdict: each for each in elements if each.verdict is not None}
        for way, each in ways.items():
            question = Unknown(f"{var.text} leads to {name(way)} (map {self.set_name})")
            if run.services.decide(question, ("nft", run.ns.id, var.key, self.set_name, way) if var.key is not None else None):
                return self._take(regs, each)
        return BREAK

    def _take(self, regs: Registers, found: Element) -> Outcome:
        if found.verdict is not None:
            return None if found.verdict.code == NFT_CONTINUE else found.verdict
        if found.data is not None and self.dreg is not None:
            regs.store(self.dreg, found.data)
        return None

    def acts(self) -> bool:
        return self.dreg == 0


def decode(attrs: dict[int, bytes]) -> Lookup:
    return Lookup(string(attrs, 1), register(attrs, 2), optional_register(attrs, 3), bool(u32(attrs, 5, 0) & 1))
