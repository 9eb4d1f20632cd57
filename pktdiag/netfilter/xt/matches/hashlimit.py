"""hashlimit: a token bucket for each address or port. net/netfilter/xt_hashlimit.c: hashlimit_mt_common.

/proc/net/ipt_hashlimit shows the buckets; this view does not read them.
"""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.kernel import AF_INET6, IPPROTO_NONE
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri, Unknown
from pktdiag.netfilter.xt.base import UnknownRevisionError, hotdrop, text
from pktdiag.netfilter.xt.matches.limit import rate_text

DIP, DPT, SIP, SPT, INVERT, BYTES, RATE_MATCH = (1 << bit for bit in range(7))
MODES = ((SIP, "srcip"), (SPT, "srcport"), (DIP, "dstip"), (DPT, "dstport"))
SCALE = {1: 10_000, 2: 1_000_000, 3: 1_000_000}


class HashLimit(NamedTuple):
    """struct xt_hashlimit_mtinfo1..3."""

    rev: int
    name: str
    mode: int
    avg: int
    burst: int
    size: int
    max: int
    gc_interval: int
    expire: int
    """Milliseconds."""
    interval: int
    srcmask: int
    dstmask: int


def decode(rev: int, data: bytes, family: int) -> HashLimit:
    if rev == 1:
        name, mode, avg, burst, size, max_, gc, expire, src, dst = unpack_from("=16s7IBB", data)
        interval = 0
    elif rev in (2, 3):
        name, avg, burst, mode, size, max_, gc, expire = unpack_from("=255sxQQ5I", data)
        interval = unpack_from("=I", data, 292)[0] if rev == 3 else 0
        src, dst = unpack_from("=BB", data, 296 if rev == 3 else 292)
    else:
        raise UnknownRevisionError
    return HashLimit(rev, text(name), mode, avg, burst, size, max_, gc, expire, interval, src, dst)


def evaluate(info: HashLimit, ctx: HookContext) -> Tri:
    """By ports, an IPv6 packet without a transport header is dropped (hashlimit_init_dst)."""
    packet = ctx.skb.packet
    if packet.proto == IPPROTO_NONE and info.mode & (SPT | DPT) and len(packet.dst) == 16 and not packet.fragment_offset:
        return hotdrop(ctx)
    rate = _rate(info)[0]
    keys = " and ".join(name for bit, name in MODES if info.mode & bit) or "all packets together"
    return Unknown(f"the rate of {info.name} (per {keys}) is {'above' if info.mode & INVERT else 'within'} {rate}")


def _units(rev: int) -> tuple[tuple[int, str], ...]:
    scale = SCALE[rev]
    return (scale * 86400, "day"), (scale * 3600, "hour"), (scale * 60, "min"), (scale, "sec")


def _rate(info: HashLimit) -> tuple[str, str, int]:
    """(rate, burst option, default expiry in ms): print_rate and print_bytes of libxt_hashlimit.c."""
    if not info.mode & BYTES:
        shown = rate_text(info.avg, _units(info.rev))
        seconds = {"day": 86400, "hour": 3600, "min": 60, "sec": 1}.get(shown.rpartition("/")[2], 0)
        return shown, f"--hashlimit-burst {info.burst}", seconds * 1000
    per_second = (0xFFFFFFFF // info.avg if info.avg else 0xFFFFFFFF) - 1 << 4
    threshold, unit = next(
        (size, unit) for size, unit in ((1 << 20, "m"), (1 << 10, "k"), (1, ""))
        if size == 1 or (per_second >= size and 0xFFFFFFFF // (((per_second & -size) >> 4) + 1) == info.avg))
    shown = f"{per_second // threshold}{unit}b/s"
    if not info.burst:
        return shown, "", 15_000
    size = per_second * info.burst
    threshold, unit = next(pair for pair in ((1 << 20, "m"), (1 << 10, "k"), (1, "")) if size >= pair[0] or pair[0] == 1)
    return shown, f"--hashlimit-burst {size // threshold}{unit}b", 60_000


def render(info: HashLimit, family: int) -> str:
    rate, burst, expire = _rate(info)
    parts = [f"--hashlimit-{'above' if info.mode & INVERT else 'upto'} {rate}", burst]
    if info.mode & (DIP | DPT | SIP | SPT):
        parts.append("--hashlimit-mode " + ",".join(name for bit, name in MODES if info.mode & bit))
    parts.append(f"--hashlimit-name {info.name}")
    whole = 128 if family == AF_INET6 else 32
    for value, default, option in ((info.size, 0, "htable-size"), (info.max, 0, "htable-max"),
                                   (info.gc_interval, 1000, "htable-gcinterval"), (info.expire, expire, "htable-expire"),
                                   (info.srcmask, whole, "srcmask"), (info.dstmask, whole, "dstmask")):
        if value != default:
            parts.append(f"--hashlimit-{option} {value}")
    if info.mode & RATE_MATCH:
        parts.append("--hashlimit-rate-match")
        if info.interval != 1:
            parts.append(f"--hashlimit-rate-interval {info.interval}")
    return " ".join(part for part in parts if part)
