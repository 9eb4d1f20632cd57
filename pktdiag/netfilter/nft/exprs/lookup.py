"""lookup: is a key in a set; with a map, what does it map to. net/netfilter/nft_lookup.c: nft_lookup_eval"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers, Var, doubt
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.set_elements import ANONYMOUS, INTERVAL, Element
from pktdiag.netfilter.nft.sets import Set
from pktdiag.netfilter.nft.verdict import BREAK, NFT_CONTINUE, name
from pktdiag.netfilter.nft.wire import optional_register, register, string, u32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FEW = 16
"""So many outcomes of a map are followed one by one."""


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
        if hidden is None:
            one = table.find(key, run)
        else:
            found = table.reachable(key, hidden, run)
            if found is None or len(found) > 1 or (found and found[0].key):
                return self._split(regs, run, table, key, found)
            one = found[0] if found else None  # the catch-all, or none of them
        if isinstance(one, Doubt):
            return one
        return self._met(regs, run, table, one, key if hidden is None else b"")

    def _met(self, regs: Registers, run: Run, table: Set, one: Element | None, key: bytes = b"") -> Outcome:
        """Once it is known which element the key falls on, if any. An empty key: the element's own."""
        if (one is None) != self.inverted:
            return BREAK
        if one is None:
            return None
        if (self.dreg is not None or one.userdata) and not table.info.flags & ANONYMOUS:
            run.met.append((table, one, key or one.key))
        # nft_set_elem_update_expr: counters and limits of the element itself, run after the data was copied
        outcome = table.run_element_expressions(one, regs, run)
        if outcome is not None:
            return outcome
        return self._take(regs, one) if self.dreg is not None else None

    def _split(self, regs: Registers, run: Run, table: Set, key: bytes, found: list[Element] | None) -> Outcome:
        """With a key that nobody knows to the last bit, and elements it may fall on."""
        var = regs.var(self.sreg, table.key_length)
        where = (run.family, run.table, self.set_name)  # tables may have sets of one name
        if found is not None and (self.dreg is not None or any(each.raw_expressions for each in found)):
            if len(found) <= _FEW and not table.info.flags & INTERVAL:
                return self._choose(regs, run, table, var, where, found)
            if self.dreg == 0:
                return self._lead(regs, run, table, var, where, found)
        if self.dreg is not None:
            return doubt(var, f"is in the map {self.set_name} and where it leads", ("map", *where, key))
        return doubt(var, f"{'is not' if self.inverted else 'is'} in the set {self.set_name}", (self.inverted, *where, key))

    def _choose(self, regs: Registers, run: Run, table: Set, var: Var, where: tuple[object, ...], choices: list[Element]) -> Outcome:
        """The walk is split on each element the key may fall on."""
        choices = sorted(choices, key=lambda each: (not each.key, each.key[::-1] if var.byteorder == "little" else each.key))
        last = choices[-1] if not choices[-1].key or (table.key_length == 4 and len(choices) == var.values) else None
        for each in choices:
            question = Unknown(self._question(run, table, var, each))
            key = ("nft", run.ns.id, var.key, *where, each.key) if var.key is not None else None
            if each is last or run.services.decide(question, key):  # the catch-all, or the last of all that there are
                return self._met(regs, run, table, each)
        return self._met(regs, run, table, None)

    def _question(self, run: Run, table: Set, var: Var, each: Element) -> str:
        named = "" if table.info.flags & ANONYMOUS else f"{'set' if self.dreg is None else 'map'} {self.set_name}"
        if table.key_length <= 4 or run.rule is None:
            return f"{var.text} is {var.value(each.key)}{f' ({named})' if named else ''}"
        from pktdiag.netfilter.nft.render.set_text import elements_met

        found = elements_met(run.ns, run.rule, [(table, each, each.key)])[1]["elements"]
        return f"{var.text} makes it element {found[0]['element']}{f' of {named}' if named else ''}"

    def _lead(self, regs: Registers, run: Run, table: Set, var: Var, where: tuple[object, ...], elements: Iterable[Element]) -> Outcome:
        """The same for a map of ranges, or a large one, with verdicts: on each verdict there is."""
        ways = {each.verdict: each for each in elements if each.verdict is not None}
        for way, each in ways.items():
            question = Unknown(f"{var.text} leads to {name(way)} (map {self.set_name})")
            if run.services.decide(question, ("nft", run.ns.id, var.key, *where, way) if var.key is not None else None):
                return self._met(regs, run, table, each)
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
