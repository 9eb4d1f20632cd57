"""flow add: puts an established flow on the fast path from the next packet on. net/netfilter/nft_flow_offload.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import string

IPS_OFFLOAD = 1 << 14


class FlowOffload(NamedTuple):
    table_name: str

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_flow_offload_eval: what cannot be offloaded breaks the rule; the packet at hand takes the slow path yet.

        TCP must be established and assured, other protocols only need a confirmed or new connection without helper.
        """
        conn = run.skb.ct
        packet = run.skb.packet
        if conn is None or packet.proto not in (6, 17, 47) or run.skb.extra.get("secpath"):
            return BREAK
        if packet.proto == 6 and (packet.tcp_flags & 5 or conn.tcp_state not in (None, 3)):
            return BREAK
        if conn.helper or conn.status & IPS_OFFLOAD:
            return BREAK
        run.skb.extra["flow_offload"] = self.table_name
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> FlowOffload:
    return FlowOffload(string(attrs, 1))
