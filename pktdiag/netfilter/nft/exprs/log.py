"""log: to the kernel log, to nfnetlink_log (group) or to audit. net/netfilter/nft_log.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import string, u16, u32

LEVEL_AUDIT = 8
LEVEL_NAMES = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")


class Log(NamedTuple):
    group: int | None
    prefix: str
    snaplen: int
    qthreshold: int
    level: int | None
    flags: int

    @property
    def kind(self) -> str:
        if self.group is not None:
            return "nflog"
        return "audit" if self.level == LEVEL_AUDIT else "log"

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        rule = run.rule
        if rule is not None:
            level = 4 if self.level is None else self.level
            run.services.log_line(run.ctx, rule.ref(run.ns), self.prefix, level, self.flags, self.kind)
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Log:
    group = u16(attrs, 1) if 1 in attrs else None
    level = u32(attrs, 5) if 5 in attrs else None
    return Log(group, string(attrs, 2, ""), u32(attrs, 3, 0), u16(attrs, 4, 0), level, u32(attrs, 6, 0))
