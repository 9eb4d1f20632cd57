"""fib: asks the routing tables about an address of the packet.

net/ipv4/netfilter/nft_fib_ipv4.c, net/ipv6/netfilter/nft_fib_ipv6.c, net/netfilter/nft_fib.c, nft_fib_inet.c, nft_fib_netdev.c
"""

from __future__ import annotations

import sys

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    IPPROTO_ICMPV6,
    NF_INET_FORWARD,
    NF_INET_INGRESS,
    NF_INET_LOCAL_IN,
    NF_INET_PRE_ROUTING,
    PACKET_LOOPBACK,
    RTN_ANYCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    RTN_UNICAST,
)
from pktdiag.model.record import NamedTuple
from pktdiag.model.versions import since_6_7
from pktdiag.netfilter.context import Unknown
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

OIF, OIFNAME, ADDRTYPE = 1, 2, 3
F_SADDR, F_DADDR, F_MARK, F_IIF, F_OIF, F_PRESENT = 1, 2, 4, 8, 16, 32
LOOPBACK_IFINDEX = 1


class Fib(NamedTuple):
    result: int
    flags: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        if not run.is_ip:
            return BREAK
        value = self._type(run) if self.result == ADDRTYPE else self._device(run)
        if isinstance(value, Unknown):
            regs.store_unknown(self.dreg, 16 if self.result == OIFNAME else 4, Var(value.condition, ("fib", value.condition)))
        elif value is None:
            return BREAK
        else:
            regs.store(self.dreg, value)
        return None

    def acts(self) -> bool:
        return False

    def _subject(self, run: Run) -> bytes:
        packet = run.skb.packet
        return packet.dst if self.flags & F_DADDR else packet.src

    def _link(self, run: Run) -> Link | None:
        if self.flags & F_IIF:
            return run.ctx.indev
        return run.ctx.outdev if self.flags & F_OIF else None

    def _type(self, run: Run) -> bytes | Unknown | None:
        """nft_fib4_eval_type: inet_dev_addr_type(); nft_fib6_eval_type makes its own answer from a route lookup."""
        address, link = self._subject(run), self._link(run)
        if len(address) == 4:
            found = run.services.address_type(run.ctx, address, link.ifindex if link else 0)
            return found if isinstance(found, Unknown) else found.to_bytes(4, sys.byteorder)
        kind = self._type6(run, address, link)
        return kind if isinstance(kind, Unknown) else kind.to_bytes(4, sys.byteorder)

    def _type6(self, run: Run, address: bytes, link: Link | None) -> int | Unknown:
        answer = run.services.fib_lookup(run.ctx, address, None, iif=LOOPBACK_IFINDEX,
                                         mark=run.skb.mark if self.flags & F_MARK else 0)
        if isinstance(answer, Unknown):
            return answer
        if answer.type in (6, 7, 8, 9):
            return answer.type
        if answer.type == RTN_ANYCAST:
            return RTN_ANYCAST
        if link is None and answer.type == RTN_LOCAL:
            return RTN_LOCAL
        if link is not None and any(each.ifindex == link.ifindex and each.local == address for each in run.ns.addresses(10)):
            return RTN_LOCAL
        return RTN_MULTICAST if address[0] == 0xFF else RTN_UNICAST

    def _device(self, run: Run) -> bytes | Unknown | None:
        """nft_fib4_eval, nft_fib6_eval."""
        packet, ctx = run.skb.packet, run.ctx
        link = self._link(run)
        if ctx.indev is not None and (ctx.hook in (NF_INET_PRE_ROUTING, NF_INET_INGRESS)
                                      or (ctx.hook == NF_INET_LOCAL_IN and since_6_7(ctx.ns))):
            # nft_fib_can_skip (in LOCAL_IN since 6.15, which nothing shows): looped-back multicast, or the loopback device
            if run.skb.pkt_type == PACKET_LOOPBACK or ctx.indev.loopback:
                return self._store(ctx.indev)
            if (packet.proto == IPPROTO_ICMPV6 and not any(packet.src) and len(packet.dst) == 16
                    and packet.dst[0] == 0xFE and packet.dst[1] & 0xC0 == 0x80):
                return self._store(ctx.indev)
        if len(packet.src) == 4 and packet.src[0] == 0 and (
                packet.dst == b"\xff\xff\xff\xff" or packet.dst[:3] == b"\xe0\0\0"):
            return self._store(ctx.indev or ctx.outdev)
        subject, other = self._subject(run), packet.src if self.flags & F_DADDR else packet.dst
        iif = LOOPBACK_IFINDEX
        if not self.flags & F_DADDR and self.flags & F_IIF and ctx.hook == NF_INET_FORWARD and ctx.outdev:
            iif = ctx.outdev.ifindex
        # nft_fib6_flowi_init(): what is of this link only is looked for on skb->dev, which __br_forward() has set to the port it leaves by
        port = run.ns.link(run.skb.physout) if run.skb.physout is not None and ctx.hook == NF_INET_FORWARD else None
        near = link or port or ctx.indev or ctx.outdev
        answer = run.services.fib_lookup(ctx, subject, _saddr(other), iif=iif, tos=packet.tos & 0xFC,
                                         oif=near.ifindex if near is not None and _on_link(subject) else 0,
                                         mark=run.skb.mark if self.flags & F_MARK else 0)
        if isinstance(answer, Unknown):
            return answer
        if answer.type in (RTN_LOCAL, RTN_ANYCAST) or answer.oif is None:
            return self._store(None)
        if link is not None:
            return self._store(link if answer.oif == link.ifindex else None)
        return self._store(run.ns.link(answer.oif))

    def _store(self, link: Link | None) -> bytes:
        """nft_fib_store_result."""
        if self.flags & F_PRESENT:
            return int(link is not None).to_bytes(4, sys.byteorder)
        if self.result == OIFNAME:
            name = link.name.encode("utf-8", "surrogateescape") if link else b""
            return name[:16].ljust(16, b"\0")
        return (link.ifindex if link else 0).to_bytes(4, sys.byteorder)


def _saddr(address: bytes) -> bytes:
    """get_saddr: no route is found from a multicast, broadcast or zero address."""
    if len(address) == 4 and (address[0] >> 4 == 14 or address == b"\xff\xff\xff\xff" or address[0] == 0):
        return bytes(4)
    return address


def _on_link(address: bytes) -> bool:
    """ipv6_addr_type() & IPV6_ADDR_LINKLOCAL: of groups, those of link scope."""
    return len(address) == 16 and ((address[0] == 0xFE and address[1] & 0xC0 == 0x80) or (address[0] == 0xFF and address[1] & 0x0F == 2))


def decode(attrs: dict[int, bytes]) -> Fib:
    return Fib(u32(attrs, 2), u32(attrs, 3), register(attrs, 1))
