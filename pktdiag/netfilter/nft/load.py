"""The ruleset of a namespace, read from its view chain by chain and remembered as long as the ruleset stays the same."""

from __future__ import annotations

from pktdiag.model.kernel import NFPROTO_INET
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.nft.rule import Rule, names_in_front
from pktdiag.netfilter.nft.sets import SetStore
from pktdiag.netfilter.nft.tables import BaseChain, Table, decode_chain, decode_table, is_base
from pktdiag.netfilter.nft.wire import MalformedError

MANY = 20
"""Rules of one chain for which it pays to look what they have in common."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class ChainRules:
    """The rules of one chain, each made when evaluation comes to it."""

    __slots__ = ("_front", "_key", "_made", "payloads", "ready")

    def __init__(self, payloads: Sequence[bytes], key: tuple[int, str, str]) -> None:
        self.payloads = payloads
        self.ready: Sequence[bytes] = getattr(payloads, "ready", payloads)
        """Those of the payloads that need no reading; more of them after each look at the next one."""
        self._key = key
        self._made: dict[int, Rule] = {}
        self._front = b""

    def __getitem__(self, position: int) -> Rule:
        """By position, from 0; IndexError behind the last. Raises Unreadable."""
        rule = self._made.get(position)
        if rule is None:
            payload = self.payloads[position]
            if position == MANY:
                self._front = names_in_front(payload)
            rule = self._made[position] = Rule(payload, *self._key, position + 1, self._front)
        return rule

    def __iter__(self) -> Iterator[Rule]:
        return (self[position] for position in range(len(self.payloads)))


class Ruleset:
    """What was decoded of one namespace at one generation."""

    def __init__(self, ns: NamespaceView, generation: int | None, payloads: Sequence[bytes]) -> None:
        self.ns = ns
        self.generation = generation
        self.payloads = payloads
        self._tables: list[Table] | None = None
        self._base: dict[int, list[BaseChain]] = {}
        self._rules: dict[tuple[int, str, str], ChainRules] = {}
        self._sets: dict[int, SetStore] = {}

    def tables(self) -> list[Table]:
        """Of every family. Raises Unreadable."""
        if self._tables is None:
            self._tables = []
            for payload in self.payloads:
                try:
                    self._tables.append(decode_table(payload))
                except MalformedError:
                    continue
        return self._tables

    def base_chains(self, family: int) -> list[BaseChain]:
        """The base chains of exactly this family, in the kernel's order (by creation). Raises Unreadable."""
        if family not in self._base:
            mine = [table for table in self.tables() if table.family == family]
            found: list[BaseChain] = []
            if mine:
                dormant = [table.name for table in mine if table.dormant]
                for payload in self.ns.nft_chains(family):
                    if is_base(payload):
                        try:
                            base = decode_chain(payload, dormant).base
                        except MalformedError:
                            continue
                        if base is not None:
                            found.append(base)
            self._base[family] = found
        return self._base[family]

    def rules(self, family: int, table: str, chain: str) -> ChainRules:
        """Raises Unreadable, as may going through them."""
        key = family, table, chain
        if key not in self._rules:
            self._rules[key] = ChainRules(self.ns.nft_rules(family, table, chain), key)
        return self._rules[key]

    def sets(self, family: int) -> SetStore:
        if family not in self._sets:
            self._sets[family] = SetStore(self.ns, family)
        return self._sets[family]


def ruleset(ns: NamespaceView) -> Ruleset:
    """The decoded ruleset of a view, kept on the view itself.

    Thrown away when the kernel's generation moved, or when the view read its tables anew (its own ``refresh``): counters
    and sets change without a new generation.
    """
    generation = ns.nft_generation()
    payloads: Sequence[bytes] = () if generation is None else ns.nft_tables()
    known = getattr(ns, "_nft_ruleset", None)
    if isinstance(known, Ruleset) and known.ns is ns and known.generation == generation and known.payloads is payloads:
        return known
    made = Ruleset(ns, generation, payloads)
    try:  # noqa: SIM105  # contextlib costs start-up time
        ns._nft_ruleset = made  # type: ignore[attr-defined]
    except AttributeError:  # a view with __slots__ decodes anew each time
        pass
    return made


def base_chains(ns: NamespaceView, family: int) -> list[BaseChain]:
    """Base chains of one nf_tables family (NFPROTO_*; inet chains only under NFPROTO_INET). Raises Unreadable.

    Empty where nf_tables is not there (no generation to read).
    """
    found = ruleset(ns)
    return [] if found.generation is None else found.base_chains(family)


def families_of(pf: int) -> tuple[int, ...]:
    """Families whose chains run at an IP hook: its own, and inet."""
    return (pf, NFPROTO_INET) if pf in (2, 10) else (pf,)
