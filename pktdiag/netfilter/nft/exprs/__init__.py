"""The expressions of nf_tables, one file each, imported when the first rule needs them.

Every module exports ``decode(attrs) -> Expression``. Expressions are immutable and equal bytes decode to one shared
object: a table of 20,000 rules holds only a handful of different loads and counters.
"""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import Verdict
from pktdiag.netfilter.nft.wire import MalformedError, attributes, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

Outcome = Verdict | Doubt | None
"""None: continue. Verdict: BREAK, a jump or an end. Doubt: continues only if something unknowable holds."""


if TYPE_CHECKING:

    class Expression(Protocol):
        def evaluate(self, regs: Registers, run: Run) -> Outcome: ...

        def acts(self) -> bool:
            """Whether running it changes where the packet goes or what it looks like, so that an unknown match in front
            of it has to be decided first."""

else:
    Expression = object


MODULES = {
    "payload": "payload", "meta": "meta", "ct": "ct", "cmp": "cmp", "range": "range_", "bitwise": "bitwise",
    "byteorder": "byteorder", "lookup": "lookup", "immediate": "immediate", "counter": "counter", "log": "log",
    "limit": "limit", "quota": "quota", "connlimit": "connlimit", "last": "last", "reject": "reject", "nat": "nat",
    "masq": "masq", "redir": "redir", "tproxy": "tproxy", "fib": "fib", "rt": "rt", "socket": "socket_",
    "exthdr": "exthdr", "hash": "hash_", "numgen": "numgen", "dynset": "dynset", "objref": "objref", "queue": "queue",
    "dup": "dup", "fwd": "fwd", "notrack": "notrack", "synproxy": "synproxy", "osf": "osf", "xfrm": "xfrm",
    "tunnel": "tunnel", "inner": "inner", "flow_offload": "flow_offload", "match": "match", "target": "target",
}


class UndecodedExpr(NamedTuple):
    """An expression pktdiag does not model, or could not make sense of. It never counts as "no match"."""

    name: str
    why: str
    raw: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        return Doubt(Unknown(f"the nf_tables expression {self.name!r} ({self.why}) lets the packet pass"),
                     ("undecoded", self.raw, id(run.rule)))

    def acts(self) -> bool:
        return True


_cache: dict[bytes, Expression] = {}
_CACHE_LIMIT = 50_000
_decoders: dict[str, Any] = {}


def _module(name: str) -> Any:
    """importlib.import_module() without importing importlib."""
    path = f"{__name__}.{name}"
    __import__(path)
    return sys.modules[path]


def decode(raw: bytes) -> Expression:
    """One NFTA_LIST_ELEM payload (NFTA_EXPR_NAME, NFTA_EXPR_DATA). Never raises."""
    known = _cache.get(raw)
    if known is not None:
        return known
    attrs = attributes(raw)
    name = text(attrs.get(1, b""))
    expression = decode_named(name, attrs.get(2, b""))
    if len(_cache) >= _CACHE_LIMIT:
        _cache.clear()
    _cache[raw] = expression
    return expression


def decode_named(name: str, data: bytes) -> Expression:
    decoder = _decoders.get(name)
    if decoder is None:
        module = MODULES.get(name)
        if module is None:
            return UndecodedExpr(name, "not modelled", data)
        decoder = _decoders[name] = _module(module).decode
    try:
        expression: Expression = decoder(attributes(data))
    except MalformedError as error:
        return UndecodedExpr(name, f"malformed: {error}", data)
    return expression
