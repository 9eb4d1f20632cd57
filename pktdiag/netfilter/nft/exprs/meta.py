"""meta: what the kernel knows of a packet outside of its bytes. net/netfilter/nft_meta.c, net/bridge/netfilter/nft_meta_bridge.c"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.meta_values import Missing, meta_value
from pktdiag.netfilter.nft.registers import Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u32

(LEN, PROTOCOL, PRIORITY, MARK, IIF, OIF, IIFNAME, OIFNAME, IIFTYPE, OIFTYPE, SKUID, SKGID, NFTRACE, RTCLASSID, SECMARK,
 NFPROTO, L4PROTO, BRI_IIFNAME, BRI_OIFNAME, PKTTYPE, CPU, IIFGROUP, OIFGROUP, CGROUP, PRANDOM, SECPATH, IIFKIND, OIFKIND,
 BRI_IIFPVID, BRI_IIFVPROTO, TIME_NS, TIME_DAY, TIME_HOUR, SDIF, SDIFNAME, BRI_BROUTE, _IIFTYPE, BRI_IIFHWADDR) = range(38)


class MetaGet(NamedTuple):
    key: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_meta_get_eval."""
        value = meta_value(self.key, run)
        if isinstance(value, bytes):
            regs.store(self.dreg, value)
            return None
        if isinstance(value, Missing):
            return BREAK
        regs.store_unknown(self.dreg, *value)
        return None

    def acts(self) -> bool:
        return False


class MetaSet(NamedTuple):
    key: int
    sreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_meta_set_eval."""
        import sys

        skb = run.skb
        if self.key in (MARK, PRIORITY):
            value = int.from_bytes(regs.load(self.sreg, 4), sys.byteorder)
            hidden = regs.unknown_bits(self.sreg, 4)
            name = "mark" if self.key == MARK else "priority"
            setattr(skb, name, value)
            if hidden is None:
                skb.extra.pop(f"unknown {name}", None)
            else:
                skb.extra[f"unknown {name}"] = (hidden, regs.var(self.sreg, 4))
        elif self.key == PKTTYPE:
            wanted = regs.load(self.sreg, 1)[0]
            # skb_pkt_type_ok: only HOST, BROADCAST, MULTICAST and OTHERHOST may be exchanged for each other
            if wanted <= 3 and skb.pkt_type <= 3:
                skb.pkt_type = wanted
        elif self.key == NFTRACE:
            skb.nf_trace = bool(regs.load(self.sreg, 1)[0])
        elif self.key == BRI_BROUTE:
            skb.extra["br_netfilter_broute"] = bool(regs.load(self.sreg, 1)[0])
        elif self.key == SECMARK:
            skb.extra["secmark"] = int.from_bytes(regs.load(self.sreg, 4), sys.byteorder)
        return None

    def acts(self) -> bool:
        return True


def unknown_word(run: Run, name: str) -> tuple[bytes, Var] | None:
    """Unknown bits of skb->mark or skb->priority, left there by a rule that stored an unknowable value."""
    found = run.skb.extra.get(f"unknown {name}")
    return found if found else None  # type: ignore[return-value]


def decode(attrs: dict[int, bytes]) -> MetaGet | MetaSet:
    key = u32(attrs, 2)
    if 3 in attrs:
        return MetaSet(key, register(attrs, 3))
    return MetaGet(key, register(attrs, 1))
