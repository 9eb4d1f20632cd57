"""limit: a token bucket whose fill level the kernel does not report. net/netfilter/nft_limit.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import u32, u64

PACKETS, BYTES = 0, 1
UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}


class Limit(NamedTuple):
    rate: int
    unit: int
    """Seconds."""
    burst: int
    type: int
    inverted: bool

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        over = "over " if self.inverted else ""
        per = UNITS.get(self.unit, f"{self.unit} s")
        what = "bytes" if self.type == BYTES else "packets"
        state = "is exceeded" if self.inverted else "still has room"
        return Doubt(Unknown(f"the rate limit ({over}{self.rate} {what} per {per}) {state}"))

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Limit:
    return Limit(u64(attrs, 1), u64(attrs, 2), u32(attrs, 3, 0), u32(attrs, 4, 0), bool(u32(attrs, 5, 0) & 1))
