"""LED: blinks. net/netfilter/xt_LED.c: led_tg."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef
from pktdiag.netfilter.context import HookContext, HookResult
from pktdiag.netfilter.xt.base import UnknownRevisionError, quoted, text


class Led(NamedTuple):
    """struct xt_led_info."""

    id: str
    always_blink: bool
    delay: int
    """Milliseconds; 0xFFFFFFFF: for ever."""


def decode(rev: int, data: bytes, family: int) -> Led:
    if rev != 0:
        raise UnknownRevisionError
    name, blink, delay = unpack_from("=27sBI", data)
    return Led(text(name), bool(blink), delay)


def evaluate(info: Led, ctx: HookContext, rule: RuleRef | None) -> HookResult | None:
    return None


def render(info: Led, family: int) -> str:
    parts = [f"--led-trigger-id {quoted(info.id.removeprefix('netfilter-'))}"]
    if info.delay == 0xFFFFFFFF:
        parts.append("--led-delay inf")
    elif info.delay:
        parts.append(f"--led-delay {info.delay}")
    if info.always_blink:
        parts.append("--led-always-blink")
    return " ".join(parts)
