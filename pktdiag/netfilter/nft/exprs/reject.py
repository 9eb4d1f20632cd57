"""reject: drop, and tell the sender. net/netfilter/nft_reject.c, nft_reject_inet.c, ipv4/nft_reject_ipv4.c, ipv6/nft_reject_ipv6.c"""

from __future__ import annotations

from pktdiag.model.kernel import ETH_P_IP, ETH_P_IPV6, NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookResult
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import NF_DROP, Verdict
from pktdiag.netfilter.nft.wire import u8, u32

ICMP_UNREACH, TCP_RST, ICMPX_UNREACH = range(3)
ICMP_CODES = {0: "net-unreachable", 1: "host-unreachable", 2: "prot-unreachable", 3: "port-unreachable",
              4: "frag-needed", 9: "net-prohibited", 10: "host-prohibited", 13: "admin-prohibited"}
ICMPV6_CODES = {0: "no-route", 1: "admin-prohibited", 3: "addr-unreachable", 4: "port-unreachable", 5: "policy-fail",
                6: "reject-route"}
ICMPX_CODES = {0: "no-route", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited"}
# nft_reject_icmp_code / nft_reject_icmpv6_code (net/netfilter/nft_reject.c)
_ICMPX_V4 = {0: 0, 1: 3, 2: 1, 3: 13}
_ICMPX_V6 = {0: 0, 1: 4, 2: 3, 3: 1}


class Reject(NamedTuple):
    type: int
    code: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """The verdict is NF_DROP whether or not an answer could be sent."""
        return Verdict(NF_DROP, "", HookResult("drop", "NETFILTER_DROP", None, "", self.answer(run), "rule-reject"))

    def answer(self, run: Run) -> str | None:
        """What is sent back; None where the kernel sends nothing for this family."""
        ethertype = run.skb.ethertype
        v4 = run.pf == NFPROTO_IPV4 or (run.pf not in (NFPROTO_IPV4, NFPROTO_IPV6) and ethertype == ETH_P_IP)
        v6 = run.pf == NFPROTO_IPV6 or (run.pf not in (NFPROTO_IPV4, NFPROTO_IPV6) and ethertype == ETH_P_IPV6)
        if not (v4 or v6):
            return None
        if self.type == TCP_RST:
            return "tcp reset"
        code = self.code
        if self.type == ICMPX_UNREACH:
            code = (_ICMPX_V4 if v4 else _ICMPX_V6).get(code, 0)
        if v4:
            return f"icmp {ICMP_CODES.get(code, f'code {code}')}"
        return f"icmpv6 {ICMPV6_CODES.get(code, f'code {code}')}"

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Reject:
    return Reject(u32(attrs, 1), u8(attrs, 2, 0))
