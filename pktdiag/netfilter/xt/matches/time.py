"""time: the clock on the wall. net/netfilter/xt_time.c: time_mt."""

from __future__ import annotations

from struct import unpack_from

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookContext, Tri
from pktdiag.netfilter.xt.base import UnknownRevisionError

LOCAL_TZ, CONTIGUOUS = 1, 2
ALL_MONTHDAYS, ALL_WEEKDAYS, MAX_DAYTIME, DAY = 0xFFFFFFFE, 0xFE, 86399, 86400
WEEKDAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Time(NamedTuple):
    """struct xt_time_info: seconds since the epoch, seconds since midnight, bit masks counting from 1."""

    date: tuple[int, int]
    daytime: tuple[int, int]
    monthdays: int
    weekdays: int
    flags: int


def decode(rev: int, data: bytes, family: int) -> Time:
    if rev != 0:
        raise UnknownRevisionError
    date_start, date_stop, start, stop, monthdays, weekdays, flags = unpack_from("=5IBB", data)
    return Time((date_start, date_stop), (start, stop), monthdays, weekdays, flags)


def evaluate(info: Time, ctx: HookContext) -> Tri:
    """In UTC; --kerneltz adds the kernel's own time zone, which is UTC unless the boot set it (settimeofday)."""
    stamp = int(ctx.services.host.now())
    if not info.date[0] <= stamp <= info.date[1]:
        return False
    now, (start, stop) = stamp % DAY, info.daytime
    if start < stop:
        if not start <= now <= stop:
            return False
    else:
        if stop < now < start:
            return False
        if info.flags & CONTIGUOUS and now <= stop:
            stamp -= DAY
    if not info.weekdays >> ((4 + stamp // DAY - 1) % 7 + 1) & 1:
        return False
    if info.monthdays == ALL_MONTHDAYS:
        return True
    from time import gmtime

    return bool(info.monthdays >> gmtime(stamp).tm_mday & 1)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _date(stamp: int) -> str:
    """Without the time of day when it is midnight: time_print_date of libxt_time.c."""
    from time import gmtime

    t = gmtime(stamp)
    return f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"


def render(info: Time, family: int) -> str:
    parts = []
    if info.daytime != (0, MAX_DAYTIME):
        parts.append(f"--timestart {_clock(info.daytime[0])} --timestop {_clock(info.daytime[1])}")
    if info.monthdays != ALL_MONTHDAYS:
        parts.append("--monthdays " + ",".join(str(day) for day in range(1, 32) if info.monthdays >> day & 1))
    if info.weekdays != ALL_WEEKDAYS:
        parts.append("--weekdays " + ",".join(WEEKDAYS[day] for day in range(1, 8) if info.weekdays >> day & 1))
    if info.date[0] != 0:
        parts.append(f"--datestart {_date(info.date[0])}")
    if info.date[1] != 0:
        parts.append(f"--datestop {_date(info.date[1])}")
    if info.flags & LOCAL_TZ:
        parts.append("--kerneltz")
    if info.flags & CONTIGUOUS:
        parts.append("--contiguous")
    return " ".join(parts)
