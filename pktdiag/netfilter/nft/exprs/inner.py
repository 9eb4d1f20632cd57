"""inner: looks into the packet a tunnel carries (vxlan, geneve, gre). net/netfilter/nft_inner.c

The walk's packet does not model what a tunnelled packet carries before the tunnel is followed: the value is unknown,
and a packet of another protocol than the tunnel's does not match.
"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_GRE, IPPROTO_UDP
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Expression, Outcome, decode_named
from pktdiag.netfilter.nft.registers import Doubt, Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import MalformedError, attributes, string, u32

UNSPEC, VXLAN, GENEVE = 0, 1, 2


class Inner(NamedTuple):
    type: int
    flags: int
    header_size: int
    expression: Expression

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        proto = run.tprot
        if not run.has_l4 or proto not in (IPPROTO_UDP, IPPROTO_GRE) or run.image.fragoff:
            return BREAK
        dreg = getattr(self.expression, "dreg", None)
        if dreg is None:
            return Doubt(Unknown("the packet inside of the tunnel matches"), ("inner", self))
        length = getattr(self.expression, "length", 16)
        regs.store_unknown(dreg, length, Var("the packet inside of the tunnel", ("inner", self)))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Inner:
    nested = attrs.get(5)
    if nested is None:
        raise MalformedError("no expression")
    found = attributes(nested)
    return Inner(u32(attrs, 2), u32(attrs, 3), u32(attrs, 4), decode_named(string(found, 1), found.get(2, b"")))
