"""tproxy: hands the packet to a local socket without changing it. net/netfilter/nft_tproxy.c"""

from __future__ import annotations

from pktdiag.model.kernel import IPPROTO_TCP, IPPROTO_UDP, NFPROTO_IPV4
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import optional_register, u32


class Tproxy(NamedTuple):
    family: int
    addr: int | None
    port: int | None

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_tproxy_eval_v4, nft_tproxy_eval_v6: without a transparent socket the rule breaks."""
        packet = run.skb.packet
        if packet.proto not in (IPPROTO_TCP, IPPROTO_UDP) or self.family not in (0, 1, run.pf):
            return BREAK
        size = 4 if run.pf == NFPROTO_IPV4 else 16
        address = regs.load(self.addr, size) if self.addr is not None else self._own_address(run)
        number = int.from_bytes(regs.load(self.port, 2), "big") if self.port is not None else packet.dport
        found = run.services.tproxy_lookup(run.ctx, address, number)
        if isinstance(found, Unknown):
            return Doubt(found, ("tproxy", address, number))
        if found is None:
            return BREAK
        if found.transparent is False:
            # nf_tproxy_sk_is_transparent; sock_diag reports it for inet sockets
            return BREAK
        run.skb.tproxy_sock = found
        run.skb.sock = found
        run.skb.sock_ns = run.ns.id
        return None

    def _own_address(self, run: Run) -> bytes:
        """nf_tproxy_laddr4: the first address of the receiving device, else the packet's destination."""
        packet, link = run.skb.packet, run.ctx.indev
        if link is not None:
            family = 2 if len(packet.dst) == 4 else 10
            for each in run.ns.addresses(family):
                if each.ifindex == link.ifindex and not each.flags & 0x01 and (family == 2 or each.scope == 0):
                    return each.local
        return packet.dst

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> Tproxy:
    return Tproxy(u32(attrs, 1, 0), optional_register(attrs, 2), optional_register(attrs, 3))
