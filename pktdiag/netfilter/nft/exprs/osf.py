"""osf: the sender's operating system guessed from its SYN. net/netfilter/nft_osf.c

The fingerprints are loaded by nfnl_osf and the kernel does not report them: the answer cannot be known.
"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_TCP, TCP_SYN
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u8, u32


class Osf(NamedTuple):
    dreg: int
    ttl: int
    flags: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        packet = run.skb.packet
        if packet.proto != IPPROTO_TCP:
            return BREAK
        if not packet.tcp_flags & TCP_SYN:
            return BREAK
        regs.store_unknown(self.dreg, 16, Var("the operating system the SYN looks like", ("osf", packet.src)))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Osf:
    return Osf(register(attrs, 1), u8(attrs, 2, 0), u32(attrs, 3, 0))
