"""Sets and maps: which element a key falls on, exactly as the kernel's set backends answer.

Anonymous sets are dumped (they are written in a rule and small); for a named set the kernel is asked for the one
element (NFT_MSG_GETSETELEM), which for interval sets returns the start element of the interval around the key
(net/netfilter/nft_set_rbtree.c: __nft_rbtree_get) and for concatenated ranges the matching element
(net/netfilter/nft_set_pipapo.c: pipapo_get), so that a set of 100,000 elements costs no more than an empty one.
A lookup that finds nothing falls back to the catch-all element (nft_set_catchall_lookup).
"""

from __future__ import annotations

from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.set_elements import (
    ANONYMOUS,
    CATCHALL,
    CONCAT,
    EVAL,
    INTERVAL,
    INTERVAL_END,
    TIMEOUT,
    Element,
    SetInfo,
    decode_elements,
    decode_set,
    decoded,
)
from pktdiag.netfilter.nft.wire import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.netfilter.nft.exprs import Outcome
    from pktdiag.netfilter.nft.run import Run

_TOO_LARGE = 1 << 22
"""Bytes of a dump of some 50,000 elements."""


class Set:
    """One set with whatever of it was asked for so far."""

    def __init__(self, ns: NamespaceView, family: int, info: SetInfo) -> None:
        self.ns, self.family, self.info = ns, family, info
        self.key_length = info.key_length
        self.name = info.name
        self._asked: dict[bytes, Element | None] = {}
        self._elements: list[Element] | None = None
        self._exact: dict[bytes, Element] = {}
        self._starts: list[tuple[bytes, int]] = []
        self._sorted: list[Element] = []
        self._catchall: Element | None = None
        self._catchall_asked = False

    def elements(self) -> list[Element]:
        """All of them, dumped once. Raises Unreadable."""
        if self._elements is None:
            self._elements = decoded(self.ns.nft_set_elements(self.family, self.info.table, self.name))
            self._index(self._elements)
        return self._elements

    def _index(self, elements: list[Element]) -> None:
        plain = [element for element in elements if not element.flags & CATCHALL]
        self._catchall = next((element for element in elements if element.flags & CATCHALL), None)
        self._catchall_asked = True
        if not self.info.flags & INTERVAL:
            self._exact = {element.key: element for element in plain}
        elif not self._ranged:
            # where one interval ends and the next starts at the same key, the start comes last and wins
            plain.sort(key=lambda element: (element.key, not element.flags & INTERVAL_END))
            self._sorted = plain
            self._starts = [(element.key, 1) for element in plain]

    @property
    def _ranged(self) -> bool:
        """Concatenations with ranges live in nft_set_pipapo: elements carry KEY and KEY_END."""
        return bool(self.info.flags & INTERVAL and self.info.flags & CONCAT)

    def memory_key(self, run: Run, key: bytes) -> tuple[object, ...]:
        """Where one replay remembers what a rule added to or deleted from the set (None: deleted)."""
        return "nft element", self.ns.id, self.family, self.info.table, self.name, key

    def find(self, key: bytes, run: Run | None = None, catchall: bool = True) -> Element | Doubt | None:
        """The element ``key`` falls on, or None."""
        if run is not None and self.info.flags & (EVAL | TIMEOUT):
            memory = self.memory_key(run, key)
            if memory in run.services.conns:
                changed = run.services.conns[memory]
                return changed if isinstance(changed, Element) else None
        if self.info.flags & ANONYMOUS:
            self.elements()
            return self._find_dumped(key)
        if key not in self._asked:
            self._asked[key] = self._ask(key)
        found = self._asked[key]
        if found is not None or not catchall:
            return found
        return self._rest()

    def _ask(self, key: bytes) -> Element | None:
        payloads = self.ns.nft_set_get(self.family, self.info.table, self.name, key, None)
        if payloads is None:
            return None
        for payload in payloads:
            try:
                for element in decode_elements(payload):
                    if not element.flags & INTERVAL_END:
                        return element
            except MalformedError:
                continue
        return None

    def _find_dumped(self, key: bytes) -> Element | None:
        if not self.info.flags & INTERVAL:
            found = self._exact.get(key)
        elif self._ranged:
            found = next((element for element in self.elements() if self._in_ranges(element, key)), None)
        else:
            from bisect import bisect_right
            at = bisect_right(self._starts, (key, 2)) - 1
            found = self._sorted[at] if at >= 0 and not self._sorted[at].flags & INTERVAL_END else None
        return found if found is not None else self._catchall

    def fields(self) -> list[tuple[int, int]]:
        """(offset, length) of each field of the key; every field starts on a register."""
        spans, offset = [], 0
        for length in self.info.fields or (self.key_length,):
            spans.append((offset, length))
            offset += length + 3 & ~3
        return spans

    def _in_ranges(self, element: Element, key: bytes) -> bool:
        if element.flags & CATCHALL:
            return False
        low, high = element.key, element.key_end or element.key
        return all(low[at : at + size] <= key[at : at + size] <= high[at : at + size] for at, size in self.fields())

    def reachable(self, key: bytes, hidden: bytes, run: Run) -> list[Element] | None:
        """The elements that a key with hidden bits may fall on, the catch-all among them; it may fall on none as well. None: they cannot
        be told, because the packet itself has changed the set, or are too many to be looked at."""
        if self.info.flags & (EVAL | TIMEOUT) and any(other[:-1] == self.memory_key(run, b"")[:-1] for other in run.services.conns
                                                      if isinstance(other, tuple)):
            return None
        elements = self._resembling(key, hidden)
        if elements is None:
            return None
        value, mask = int.from_bytes(key, "big"), int.from_bytes(hidden, "big")
        low = (value & ~mask).to_bytes(len(key), "big")
        high = (value | mask).to_bytes(len(key), "big")
        if not self.info.flags & INTERVAL:
            keep = ~mask
            found = [each for each in elements if int.from_bytes(each.key, "big") & keep == value & keep and not each.flags & CATCHALL]
        elif self._ranged:
            found = [each for each in elements if not each.flags & CATCHALL and
                     all(each.key[a : a + n] <= high[a : a + n] and low[a : a + n] <= (each.key_end or each.key)[a : a + n]
                         for a, n in self.fields())]
        else:
            from bisect import bisect_right
            first, last = bisect_right(self._starts, (low, 2)) - 1, bisect_right(self._starts, (high, 2)) - 1
            found = [each for each in self._sorted[max(first, 0) : last + 1] if not each.flags & INTERVAL_END]
        rest = self._rest()
        return [*found, rest] if rest is not None else found

    def _resembling(self, key: bytes, hidden: bytes) -> list[Element] | None:
        """The elements that ``reachable`` has to look at; None: too many. Of a named set of single keys only those that were dumped in
        one message with what is known of the key."""
        if self._elements is not None or self.info.flags & ANONYMOUS:
            return self.elements()
        payloads = self.ns.nft_set_elements(self.family, self.info.table, self.name)
        known = b"" if self.info.flags & INTERVAL else max(
            (key[at:end] for at in range(len(key)) for end in range(at + 1, len(key) + 1) if not any(hidden[at:end])), key=len, default=b"")
        if len(known) >= 4:
            payloads = [payload for payload in payloads if known in payload]
        if sum(map(len, payloads)) > _TOO_LARGE:
            return None
        return decoded(payloads) if len(known) >= 4 else self.elements()

    def _rest(self) -> Element | None:
        """The catch-all element."""
        if not self._catchall_asked:
            self._catchall = self._ask(b"")
            self._catchall_asked = True
        return self._catchall

    def run_element_expressions(self, element: Element, regs: Registers, run: Run) -> Outcome:
        """nft_set_elem_update_expr (include/net/netfilter/nf_tables.h): the element's counters, limits and quotas."""
        for expression in element.expressions():
            charge = getattr(expression, "charge", None)
            outcome = charge(run, ("nft quota", self.memory_key(run, element.key))) if charge else expression.evaluate(regs, run)
            if outcome is not None:
                return outcome
        return None


class SetStore:
    """The sets of one family of one namespace, decoded once each."""

    def __init__(self, ns: NamespaceView, family: int) -> None:
        self.ns, self.family = ns, family
        self._sets: dict[tuple[str, str], Set | None] = {}

    def get(self, table: str, name: str) -> Set | None:
        """None: the kernel has no such set any more, or its description makes no sense. Raises Unreadable."""
        key = table, name
        if key not in self._sets:
            payload = self.ns.nft_set(self.family, table, name)
            try:
                self._sets[key] = None if payload is None else Set(self.ns, self.family, decode_set(payload))
            except MalformedError:
                self._sets[key] = None
        return self._sets[key]

    @staticmethod
    def missing(name: str) -> Unknown:
        return Unknown(f"the set {name}, which vanished or could not be decoded, contains the packet")
