"""bpf: a classic BPF program, or one pinned in bpffs. net/netfilter/xt_bpf.c: bpf_mt, bpf_mt_v1."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text
from pktdiag.netfilter.xt.cbpf import Instruction, run
from pktdiag.netfilter.xt.wire import wire_of

BYTECODE, PINNED, ELF = range(3)
UNSURE = Unknown("the BPF program of the rule matches the packet")


class Bpf(NamedTuple):
    """struct xt_bpf_info / _v1."""

    code: tuple[Instruction, ...]
    path: str | None


def decode(rev: int, data: bytes, family: int) -> Bpf:
    if rev == 0:
        mode, count, at = BYTECODE, unpack_from("=H", data)[0], 4
    elif rev == 1:
        mode, count = unpack_from("=HH", data)
        at = 8
    else:
        raise UnknownRevisionError
    if mode != BYTECODE:
        return Bpf((), text(unpack_from("512s", data, at)[0]))
    if count > 64:
        raise ValueError("bpf")
    return Bpf(tuple(Instruction(*unpack_from("=HBBI", data, at + 8 * i)) for i in range(count)), None)


def evaluate(info: Bpf, ctx: HookContext) -> Tri:
    if info.path is not None:
        return Unknown(f"the BPF program pinned at {info.path} matches the packet")
    result = run(info.code, wire_of(ctx.skb.packet))
    return UNSURE if result is None else result != 0


def render(info: Bpf, family: int) -> str:
    if info.path is not None:
        return f"--object-pinned {quoted(info.path)}"
    return f'--bytecode "{len(info.code)},' + ",".join(f"{i.code} {i.jt} {i.jf} {i.k}" for i in info.code) + '"'
