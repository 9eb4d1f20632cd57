"""Everything that is not a match: verdicts, log, limit, NAT, set updates and so on (nftables src/statement.c)."""

from __future__ import annotations

from pktdiag.netfilter.nft import verdict as verdicts
from pktdiag.netfilter.nft.exprs import Expression
from pktdiag.netfilter.nft.exprs.log import LEVEL_NAMES
from pktdiag.netfilter.nft.exprs.reject import ICMP_CODES, ICMP_UNREACH, ICMPV6_CODES, ICMPX_CODES, ICMPX_UNREACH, TCP_RST
from pktdiag.netfilter.nft.render.context import MIXED
from pktdiag.netfilter.nft.render.datatypes import duration
from pktdiag.netfilter.nft.render.tree import constant, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pktdiag.netfilter.nft.render.native import Reader

_UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}


def statement(reader: Reader, each: Expression, at: int) -> None:
    """Appends the text of an expression that is no load."""
    name = each.__class__.__name__
    maker = _MAKERS.get(name)
    if maker is not None:
        maker(reader, each, at)
        return
    simple = _SIMPLE.get(name)
    reader.add(simple(each) if simple is not None else f"[{getattr(each, 'name', name.lower())}]", at)


# -- values ------------------------------------------------------------------------------------------------------------
def value(reader: Reader, offset: int, dtype: str, size: int, host: bool = False) -> tuple[str, int | None]:
    """Text of what a register holds, as a value of ``dtype``, and the expression it came from."""
    node = reader.get(offset, size)
    if node.kind == "value":
        data = node.more["data"]
        return constant(dtype, data[:size], host, size * 8, reader.resolver), node.first
    return show(reader.complete(node), reader.resolver), node.first


def _verdict(reader: Reader, each: Any, at: int) -> None:
    reader.add(verdicts.name(each.verdict), at)


def _meta_set(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.loads import META

    text, dtype, bits = META.get(each.key, (f"meta [{each.key}]", "integer", 32))
    shown, first = value(reader, each.sreg, dtype, (bits + 7) // 8, True)
    if each.key == 12:
        dtype = "integer"
    reader.add(f"{text} set {shown}", at, first)


def _ct_set(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.datatypes import format_flags
    from pktdiag.netfilter.nft.render.loads import CT

    name, dtype, bits = CT.get(each.key, (f"[{each.key}]", "integer", 32))
    direction = {0: "original ", 1: "reply "}.get(each.direction, "")
    shown, first = value(reader, each.sreg, dtype, bits // 8, True)
    node = reader.get(each.sreg)
    if dtype == "ct_event" and node.kind == "value":
        import sys

        shown = ",".join(format_flags(dtype, int.from_bytes(node.more["data"][:4], sys.byteorder)))
    reader.add(f"ct {direction}{name} set {shown}", at, first)


def _payload_set(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.payload_set import payload_set

    payload_set(reader, each, at)


def _counter(reader: Reader, each: Any, at: int) -> None:
    reader.add(f"counter packets {each.packets} bytes {each.bytes}", at)


def log_text(log: Any) -> str:
    """log_stmt_print."""
    parts = ["log"]
    if log.prefix:
        parts.append(f'prefix "{log.prefix}"')
    if log.group is not None:
        parts.append(f"group {log.group}")
        if log.snaplen:
            parts.append(f"snaplen {log.snaplen}")
        if log.qthreshold:
            parts.append(f"queue-threshold {log.qthreshold}")
    elif log.level is not None and log.level != 4 and log.level < len(LEVEL_NAMES):
        parts.append(f"level {LEVEL_NAMES[log.level]}")
    if log.flags & 0x2F == 0x2F:
        parts.append("flags all")
    elif log.flags:
        tcp = ",".join(name for bit, name in ((1, "sequence"), (2, "options")) if log.flags & bit)
        parts += [f"flags tcp {tcp}"] if tcp else []
        parts += [text for bit, text in ((4, "flags ip options"), (8, "flags skuid"), (32, "flags ether")) if log.flags & bit]
    return " ".join(parts)


def limit_text(limit: Any) -> str:
    """limit_stmt_print: five packets of burst are the default."""
    over = "over " if limit.inverted else ""
    unit = _UNITS.get(limit.unit, "error")
    if limit.type == 1:
        rate, scale = byte_unit(limit.rate)
        text = f"limit rate {over}{rate} {scale}/{unit}"
        if limit.burst and limit.burst != 5:
            burst, scale = byte_unit(limit.burst)
            text += f" burst {burst} {scale}"
        return text
    tail = f" burst {limit.burst} packets" if limit.burst not in (0, 5) else ""
    return f"limit rate {over}{limit.rate}/{unit}{tail}"


def byte_unit(octets: int) -> tuple[int, str]:
    """get_rate: divided by 1024 as long as it goes."""
    names = ("bytes", "kbytes", "mbytes", "gbytes")
    at = 0
    while at + 1 < len(names) and octets and not octets % 1024:
        octets //= 1024
        at += 1
    return octets, names[at]


def quota_text(quota: Any) -> str:
    size, unit = byte_unit(quota.bytes)
    text = f"quota {'over ' if quota.inverted else ''}{size} {unit}"
    if quota.consumed:
        size, unit = byte_unit(quota.consumed)
        text += f" used {size} {unit}"
    return text


def _connlimit(each: Any) -> str:
    return f"ct count {'over ' if each.inverted else ''}{each.limit}"


def _last(each: Any) -> str:
    return f"last used {duration(each.milliseconds)}" if each.used else "last used never"


def _reject(reader: Reader, each: Any, at: int) -> None:
    """reject_stmt_print: port unreachable goes without saying where the table's family says which."""
    from pktdiag.netfilter.nft.render.headers import NETWORK, TRANSPORT

    protocols = reader.protocols
    text = "reject"
    if each.type == TCP_RST:
        text += " with tcp reset"
        if reader.family in (2, 10):
            protocols.pending_remove(TRANSPORT, reader.statements)
    elif each.type == ICMPX_UNREACH:
        if each.code != 1:
            text += f" with icmpx {ICMPX_CODES.get(each.code, each.code)}"
    elif each.type == ICMP_UNREACH:
        six = reader.family == 10 or protocols.header[NETWORK] == "ip6"
        if each.code != (4 if six else 3) or reader.family in MIXED:
            codes, name = (ICMPV6_CODES, "icmpv6") if six else (ICMP_CODES, "icmp")
            text += f" with {name} {codes.get(each.code, each.code)}"
            protocols.pending_remove(NETWORK, reader.statements)
    if reader.family in (5, 7):
        protocols.pending_remove(NETWORK, reader.statements)
    reader.add(text, at)


def _lookup(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.lookups import lookup

    lookup(reader, each, at)


def _objref(reader: Reader, each: Any, at: int) -> None:
    kind = object_kind(each.type)
    reader.add(f'{kind} name "{each.name}"' if not kind.startswith("ct ") else f'{kind} set "{each.name}"', at)


def object_kind(number: int) -> str:
    return {1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 5: "ct count", 6: "tunnel", 7: "ct timeout", 8: "meta secmark",
            9: "ct expectation", 10: "synproxy"}.get(number, "[object]")


def _objref_map(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.lookups import object_map

    object_map(reader, each, at)


def _dynset(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.lookups import dynset

    dynset(reader, each, at)


def _nat(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.nat_text import nat

    nat(reader, each, at)


def _tproxy(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.nat_text import tproxy

    tproxy(reader, each, at)


def _queue(reader: Reader, each: Any, at: int) -> None:
    if each.sreg is not None:
        shown, first = value(reader, each.sreg, "integer", 2, True)
        flags = ",".join(name for bit, name in ((1, "bypass"), (2, "fanout")) if each.flags & bit)
        reader.add(f"queue{f' flags {flags}' if flags else ''} to {shown}", at, first)
        return
    flags = ",".join(name for bit, name in ((1, "bypass"), (2, "fanout")) if each.flags & bit)
    number = str(each.number) if each.total < 2 else f"{each.number}-{each.number + each.total - 1}"
    reader.add(f"queue{f' flags {flags}' if flags else ''} to {number}", at)


def _dup(reader: Reader, each: Any, at: int) -> None:
    parts, first = ["dup to"], at
    if each.addr is not None:
        size, dtype = (16, "ipv6_addr") if reader.family == 10 else (4, "ipv4_addr")
        text, first = value(reader, each.addr, dtype, size)  # type: ignore[assignment]
        parts.append(text)
        if each.device is not None:
            parts.append("device " + value(reader, each.device, "iface_index", 4, True)[0])
    elif each.device is not None:
        text, first = value(reader, each.device, "iface_index", 4, True)  # type: ignore[assignment]
        parts.append(text)
    reader.add(" ".join(parts), at, first)


def _fwd(reader: Reader, each: Any, at: int) -> None:
    device, first = value(reader, each.device, "iface_index", 4, True)
    if each.addr is None:
        reader.add(f"fwd to {device}", at, first)
        return
    size, dtype, family = (16, "ipv6_addr", "ip6") if each.nfproto == 10 else (4, "ipv4_addr", "ip")
    reader.add(f"fwd {family} to {value(reader, each.addr, dtype, size)[0]} device {device}", at, first)


def _synproxy(each: Any) -> str:
    text = "synproxy"
    text += f" mss {each.mss} wscale {each.wscale}" if each.flags & 3 else ""
    text += " timestamp" if each.flags & 8 else ""
    return text + (" sack-perm" if each.flags & 4 else "")


def _exthdr_set(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.headers import TCP_OPTIONS

    name, fields = TCP_OPTIONS.get(each.type, (f"@{each.type}", ()))
    field = next((one.name for one in fields if one.offset == each.offset * 8 and one.bits == each.length * 8), "")
    shown, first = value(reader, each.sreg, "integer", each.length)
    place = f"{name} {field}" if field else f"@{each.type},{each.offset * 8},{each.length * 8}"
    reader.add(f"tcp option {place} set {shown}", at, first)


def _exthdr_strip(reader: Reader, each: Any, at: int) -> None:
    from pktdiag.netfilter.nft.render.headers import TCP_OPTIONS

    reader.add(f"reset tcp option {TCP_OPTIONS.get(each.type, (str(each.type), ()))[0]}", at)


def _xt(reader: Reader, each: Any, at: int) -> None:
    """A compat expression in a table that is not iptables': nft prints its name only."""
    kind = "match" if each.__class__.__name__ == "Match" else "target"
    reader.add(f'xt {kind} "{each.name}"', at)


def _undecoded(reader: Reader, each: Any, at: int) -> None:
    reader.add(f"[{each.name or 'expression'}: {each.why}]", at)


_MAKERS: dict[str, Any] = {
    "ImmediateVerdict": _verdict, "MetaSet": _meta_set, "CtSet": _ct_set, "PayloadSet": _payload_set, "Counter": _counter,
    "Reject": _reject, "Lookup": _lookup, "Objref": _objref, "ObjrefMap": _objref_map, "Dynset": _dynset, "Nat": _nat,
    "Masq": _nat, "Redir": _nat, "Tproxy": _tproxy, "Queue": _queue, "Dup": _dup, "Fwd": _fwd, "ExthdrSet": _exthdr_set,
    "ExthdrStrip": _exthdr_strip, "Match": _xt, "Target": _xt, "UndecodedExpr": _undecoded,
}
_SIMPLE: dict[str, Any] = {
    "Log": log_text, "Limit": limit_text, "Quota": quota_text, "Connlimit": _connlimit, "Last": _last, "Synproxy": _synproxy,
    "Notrack": lambda each: "notrack", "FlowOffload": lambda each: f"flow add @{each.table_name}",
}
