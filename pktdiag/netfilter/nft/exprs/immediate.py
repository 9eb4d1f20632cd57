"""immediate: a constant or a verdict into a register. net/netfilter/nft_immediate.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft import verdict as verdicts
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import Verdict
from pktdiag.netfilter.nft.wire import MalformedError, attributes, register


class ImmediateData(NamedTuple):
    dreg: int
    data: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        regs.store(self.dreg, self.data)
        return None

    def acts(self) -> bool:
        return False


class ImmediateVerdict(NamedTuple):
    verdict: Verdict

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        return None if self.verdict.code == verdicts.NFT_CONTINUE else self.verdict

    def acts(self) -> bool:
        return self.verdict.code != verdicts.NFT_CONTINUE


def decode(attrs: dict[int, bytes]) -> ImmediateData | ImmediateVerdict:
    nested = attrs.get(2)
    if nested is None:
        raise MalformedError("no data")
    data = attributes(nested)
    if 2 in data:
        return ImmediateVerdict(verdicts.decode(attributes(data[2])))
    if 1 not in data:
        raise MalformedError("no value")
    return ImmediateData(register(attrs, 1), data[1])
