"""socket: the local socket the packet belongs to. net/netfilter/nft_socket.c: nft_socket_eval"""

from __future__ import annotations

import sys

from pktdiag.model.host import Socket
from pktdiag.model.kernel import NFPROTO_IPV4, NFPROTO_IPV6
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

TRANSPARENT, MARK, WILDCARD, CGROUPV2 = range(4)


class SocketGet(NamedTuple):
    key: int
    dreg: int
    level: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """The socket the packet carries already (early demux), or the one a lookup finds; none breaks the rule, and so does a request
        or TIME_WAIT socket that is asked for more than its transparency."""
        if run.pf not in (NFPROTO_IPV4, NFPROTO_IPV6):
            return BREAK
        found: Socket | Unknown | None = run.skb.sock if run.skb.sock_ns in ("", run.ns.id) else None
        if found is None:
            found = run.services.socket_lookup(run.ctx)
        if isinstance(found, Unknown):
            return Doubt(found, ("socket", run.ns.id))
        if found is None:
            return BREAK
        if self.key == TRANSPARENT:
            regs.store(self.dreg, b"\x01" if found.transparent else b"\0")
        elif not found.full:
            return BREAK if found.full is False else Doubt(Unknown("the closed connection's socket is still a whole one"), ("full", found))
        elif self.key == MARK:
            regs.store(self.dreg, found.mark.to_bytes(4, sys.byteorder))
        elif self.key == WILDCARD:
            # nft_socket_wildcard: bound to no address
            regs.store(self.dreg, b"\0" if any(found.local) else b"\x01")
        else:
            return self._cgroup(regs, found)
        return None

    def _cgroup(self, regs: Registers, sock: Socket) -> Outcome:
        """nft_sock_get_eval_cgroupv2: the ancestor at ``level`` of the socket's cgroup; sock_diag tells the cgroup only."""
        regs.store_unknown(self.dreg, 8, Var(f"the level {self.level} cgroup of the socket", ("cgroup", sock.inode, self.level)))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> SocketGet:
    return SocketGet(u32(attrs, 1), register(attrs, 2), u32(attrs, 3, 0))
