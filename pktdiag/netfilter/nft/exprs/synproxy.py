"""synproxy: answers SYNs in place of the server. net/netfilter/nft_synproxy.c: nft_synproxy_do_eval"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_TCP, TCP_ACK, TCP_SYN
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter import checksum
from pktdiag.netfilter.context import COOKIE, HANDSHAKE, HookResult
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, DROP, NF_STOLEN, Verdict
from pktdiag.netfilter.nft.wire import u8, u16, u32


class Synproxy(NamedTuple):
    mss: int
    wscale: int
    flags: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        packet = run.skb.packet
        if packet.proto != IPPROTO_TCP:
            return BREAK
        if checksum.wrong(run.ctx):
            return DROP
        if packet.tcp_flags & TCP_SYN:
            return Verdict(NF_STOLEN, "", HookResult("unknown", "", None, HANDSHAKE))
        if packet.tcp_flags & TCP_ACK:  # NF_STOLEN, or NF_DROP; unlike the target of xtables with whatever flags beside
            return Verdict(NF_STOLEN, "", HookResult("unknown", "", None, COOKIE))
        return None

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Synproxy:
    return Synproxy(u16(attrs, 1, 0), u8(attrs, 2, 0), u32(attrs, 3, 0))
