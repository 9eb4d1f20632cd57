"""match: an xtables match with its own blob (iptables-nft). net/netfilter/nft_compat.c: nft_match_eval"""

from __future__ import annotations

from pktdiag.model.kernel import NFPROTO_BRIDGE, NFPROTO_UNSPEC
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK, DROP
from pktdiag.netfilter.nft.wire import string, u32


class Match(NamedTuple):
    name: str
    revision: int
    info: bytes

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        from pktdiag.netfilter.xt.base import HOTDROP
        from pktdiag.netfilter.xt.compat import DRAWS, evaluate_match

        matched = evaluate_match(self.name, self.revision, self.info, run.ctx, _family(self.name, run.ctx))
        if isinstance(matched, Unknown):
            return Doubt(matched, None if self.name in DRAWS else ("match", self.name, self.info, matched.condition))
        if run.skb.extra.pop(HOTDROP, None):
            return DROP
        return None if matched else BREAK

    def acts(self) -> bool:
        return False


def _family(name: str, ctx: HookContext) -> int:
    """Whose match of that name the rule holds. ebtables' own pkttype is taken only where its module was there before the rule:
    xt_find_match() goes on to the match for all families before xt_request_find_match() would load any (net/netfilter/x_tables.c),
    and xt_pkttype reads ebtables' two bytes as its first number, which no inverted one survives. ebtables-legacy insists on its own
    (net/bridge/netfilter/ebtables.c: ebt_check_match)."""
    if name != "pkttype" or ctx.pf != NFPROTO_BRIDGE:
        return ctx.pf
    own = ctx.services.host.module_users("ebt_pkttype")
    if own is None:
        return NFPROTO_BRIDGE
    if own and ctx.services.host.module_users("xt_pkttype") != 0 and not ctx.services.decide(
            Unknown("the kernel module ebt_pkttype was loaded before the rules that ask for a pkttype"), ("ebt_pkttype",)):
        return NFPROTO_UNSPEC
    return NFPROTO_BRIDGE if own else NFPROTO_UNSPEC


def decode(attrs: dict[int, bytes]) -> Match:
    return Match(string(attrs, 1), u32(attrs, 2, 0), attrs.get(3, b""))
