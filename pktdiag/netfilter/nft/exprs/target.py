"""target: an xtables target with its own blob (iptables-nft). net/netfilter/nft_compat.c: nft_target_eval_xt, nft_target_eval_bridge"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookResult, Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import NF_ACCEPT, NF_DROP, NF_QUEUE, NF_STOLEN, NFT_RETURN, Verdict
from pktdiag.netfilter.nft.wire import string, u32

_CODES = {"accept": NF_ACCEPT, "drop": NF_DROP, "stolen": NF_STOLEN, "queue": NF_QUEUE}


class Target(NamedTuple):
    name: str
    revision: int
    info: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        from pktdiag.netfilter.xt.compat import evaluate_target

        rule = run.rule.ref(run.ns) if run.rule is not None else None
        result = evaluate_target(self.name, self.revision, self.info, run.ctx, rule)
        if isinstance(result, Unknown):
            return Doubt(result, ("target", self.name, id(run.rule)))
        if isinstance(result, HookResult):
            return Verdict(_CODES.get(result.action, NF_DROP), "", result)
        return Verdict(NFT_RETURN) if result == "RETURN" else None

    def acts(self) -> bool:
        from pktdiag.netfilter.xt.compat import HARMLESS_TARGETS

        return self.name not in HARMLESS_TARGETS


def decode(attrs: dict[int, bytes]) -> Target:
    return Target(string(attrs, 1), u32(attrs, 2, 0), attrs.get(3, b""))
