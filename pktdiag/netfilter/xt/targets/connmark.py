"""CONNMARK: copies between the packet's and the connection's mark. net/netfilter/xt_connmark.c: connmark_tg_shift."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError

SET, SAVE, RESTORE = 0, 1, 2


class ConnMark(NamedTuple):
    """struct xt_connmark_tginfo1 / 2."""

    ctmark: int
    ctmask: int
    nfmask: int
    mode: int
    right: bool
    bits: int


def decode(rev: int, data: bytes, family: int) -> ConnMark:
    if rev == 1:
        ctmark, ctmask, nfmask, mode = unpack_from("=IIIB", data)
        shift_dir = bits = 0
    elif rev == 2:
        ctmark, ctmask, nfmask, shift_dir, bits, mode = unpack_from("=IIIBBB", data)
    else:
        raise UnknownRevisionError
    if mode > RESTORE or bits > 32:
        raise ValueError("connmark")
    return ConnMark(ctmark, ctmask, nfmask, mode, bool(shift_dir), bits)


def _shift(value: int, info: ConnMark) -> int:
    return value >> info.bits if info.right else value << info.bits & 0xFFFFFFFF


def evaluate(info: ConnMark, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    skb = ctx.skb
    ct = skb.ct
    if ct is None:
        return None
    if info.mode == SET:
        ct.mark = _shift(ct.mark & ~info.ctmask & 0xFFFFFFFF ^ info.ctmark, info)
    elif info.mode == SAVE:
        ct.mark = ct.mark & ~info.ctmask & 0xFFFFFFFF ^ _shift(skb.mark & info.nfmask, info)
    else:
        skb.mark = skb.mark & ~info.nfmask & 0xFFFFFFFF ^ _shift(ct.mark & info.ctmask, info)
    return None


def render(info: ConnMark, family: int) -> str:
    if info.mode == SET:
        text = f"--set-xmark {info.ctmark:#x}/{info.ctmask:#x}"
    else:
        text = f"--{'save' if info.mode == SAVE else 'restore'}-mark --nfmask {info.nfmask:#x} --ctmask {info.ctmask:#x}"
    return text + (f" --{'right' if info.right else 'left'}-shift-mark {info.bits}" if info.bits else "")
