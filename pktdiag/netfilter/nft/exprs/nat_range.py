"""NAT statements' ranges out of registers. net/netfilter/nft_nat.c: nft_nat_setup_addr, nft_nat_setup_proto, nft_nat_setup_netmap"""

from __future__ import annotations

from pktdiag.netfilter.context import HookResult, NatRange
from pktdiag.netfilter.nft.registers import Doubt, Registers, doubt
from pktdiag.netfilter.nft.verdict import NF_ACCEPT, NF_DROP, NF_STOLEN, Verdict

MAP_IPS, PROTO_SPECIFIED, PROTO_RANDOM, PERSISTENT, RANDOM_FULLY, PROTO_OFFSET, NETMAP = 1, 2, 4, 8, 16, 32, 64


def port(regs: Registers, offset: int) -> int:
    return int.from_bytes(regs.load(offset, 2), "big")


def unknown_in(regs: Registers, spans: list[tuple[int | None, int]]) -> Doubt | None:
    """A doubt where a register the range is made from cannot be known."""
    for offset, length in spans:
        if offset is not None and regs.unknown_bits(offset, length):
            return doubt(regs.var(offset, length), "selects the address and port that the rule translates to as read here")
    return None


def netmap(packet_address: bytes, low: bytes, high: bytes) -> bytes:
    """Replaces the network part: the bits in which the ends of the range agree (nft_nat_setup_netmap)."""
    size = len(low)
    first, last = int.from_bytes(low, "big"), int.from_bytes(high, "big")
    mask = (1 << size * 8) - 1 ^ first ^ last
    return (int.from_bytes(packet_address, "big") & ~mask | first & mask).to_bytes(size, "big")


def as_verdict(result: HookResult) -> Verdict:
    code = {"accept": NF_ACCEPT, "drop": NF_DROP, "stolen": NF_STOLEN}.get(result.action, NF_ACCEPT)
    return Verdict(code, "", result)


def proto_range(regs: Registers, low: int | None, high: int | None) -> tuple[int, int]:
    if low is None:
        return 0, 0
    first = port(regs, low)
    return first, first if high is None else port(regs, high)


__all__ = ["MAP_IPS", "NETMAP", "PROTO_SPECIFIED", "NatRange", "as_verdict", "netmap", "port", "proto_range", "unknown_in"]
