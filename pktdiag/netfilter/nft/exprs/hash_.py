"""hash: jhash of a register (load balancing), or the symmetric flow hash. net/netfilter/nft_hash.c"""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.jhash import jhash, reciprocal_scale
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Registers
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.wire import MalformedError, optional_register, register, u32

JENKINS, SYM = 0, 1


class Hash(NamedTuple):
    type: int
    sreg: int | None
    dreg: int
    length: int
    modulus: int
    seed: int | None
    """None: the kernel drew one itself and does not tell (autogen_seed)."""
    offset: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_jhash_eval: jhash(data, len, seed) scaled to the modulus; nft_symhash_eval uses a boot-time secret."""
        if self.type == JENKINS and self.seed is not None and self.sreg is not None:
            if regs.unknown_bits(self.sreg, self.length) is None:
                number = reciprocal_scale(jhash(regs.load(self.sreg, self.length), self.seed), self.modulus)
                regs.store(self.dreg, (number + self.offset & 0xFFFFFFFF).to_bytes(4, sys.byteorder))
                return None
        packet = run.skb.packet
        what = f"the symmetric flow hash mod {self.modulus}" if self.type == SYM else f"the hash mod {self.modulus}, whose seed is secret,"
        regs.store_draw(self.dreg, self.offset, self.modulus, what, ("hash", self, packet.src, packet.dst, packet.sport, packet.dport))
        return None

    def acts(self) -> bool:
        return False


def decode(attrs: dict[int, bytes]) -> Hash:
    modulus = u32(attrs, 4)
    if not modulus:
        raise MalformedError("modulus 0")
    kind = u32(attrs, 7, JENKINS)
    seed = u32(attrs, 5) if 5 in attrs else None
    return Hash(kind, optional_register(attrs, 1), register(attrs, 2), u32(attrs, 3, 0), modulus, seed, u32(attrs, 6, 0))
