"""dup: a copy goes to another host or device; the packet itself goes on.

net/ipv4/netfilter/nft_dup_ipv4.c, net/netfilter/nft_dup_netdev.c
"""

from __future__ import annotations

import sys

from pktdiag.model.kernel import NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import optional_register


class Dup(NamedTuple):
    addr: int | None
    device: int | None

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        gateway = None
        if self.addr is not None and run.pf in (NFPROTO_IPV4, NFPROTO_IPV6):
            gateway = regs.load(self.addr, 4 if run.pf == NFPROTO_IPV4 else 16)
        oif = int.from_bytes(regs.load(self.device, 4), sys.byteorder) if self.device is not None else None
        run.services.duplicate(run.ctx, gateway, oif)
        return None

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Dup:
    return Dup(optional_register(attrs, 1), optional_register(attrs, 2))
