"""cpu: the processor that handles the packet. net/netfilter/xt_cpu.c: cpu_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, bang


class Cpu(NamedTuple):
    """struct xt_cpu_info."""

    cpu: int
    invert: bool


def decode(rev: int, data: bytes, family: int) -> Cpu:
    if rev != 0:
        raise UnknownRevisionError
    cpu, invert = unpack_from("=II", data)
    if invert & ~1:
        raise ValueError("cpu")
    return Cpu(cpu, bool(invert))


def evaluate(info: Cpu, ctx: HookContext) -> Tri:
    return Unknown(f"the packet is {'not ' if info.invert else ''}handled by CPU {info.cpu}")


def render(info: Cpu, family: int) -> str:
    return f"{bang(info.invert)}--cpu {info.cpu}"
