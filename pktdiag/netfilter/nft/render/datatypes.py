"""Values as nft prints them, by data type (src/datatype.c of nftables; the ids are enum datatypes in include/datatype.h).

A value is an integer in its type's own byte order. Names that nft takes from files of the host (/etc/protocols) are the
ones Debian ships; interface indexes are resolved by the caller.
"""

from __future__ import annotations

from pktdiag.model.packet import format_address
from pktdiag.netfilter.nft.render import symbols

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TYPE_NAMES = {
    1: "verdict", 2: "nf_proto", 3: "bitmask", 4: "integer", 5: "string", 6: "ll_addr", 7: "ipv4_addr", 8: "ipv6_addr",
    9: "ether_addr", 10: "ether_type", 11: "arp_op", 12: "inet_proto", 13: "inet_service", 14: "icmp_type", 15: "tcp_flag",
    16: "dccp_pkttype", 17: "mh_type", 18: "time", 19: "mark", 20: "iface_index", 21: "iface_type", 22: "realm",
    23: "classid", 24: "uid", 25: "gid", 26: "ct_state", 27: "ct_dir", 28: "ct_status", 29: "icmpv6_type", 30: "ct_label",
    31: "pkt_type", 32: "icmp_code", 33: "icmpv6_code", 34: "icmpx_code", 35: "devgroup", 36: "dscp", 37: "ecn",
    38: "fib_addrtype", 39: "boolean", 40: "ct_event", 41: "ifname", 42: "igmp_type", 43: "date", 44: "hour", 45: "day",
    46: "cgroupsv2",
}
TYPE_BITS = {
    "nf_proto": 8, "ipv4_addr": 32, "ipv6_addr": 128, "ether_addr": 48, "ether_type": 16, "arp_op": 16, "inet_proto": 8,
    "inet_service": 16, "icmp_type": 8, "tcp_flag": 8, "dccp_pkttype": 4, "mh_type": 8, "time": 64, "mark": 32,
    "iface_index": 32, "iface_type": 16, "realm": 32, "classid": 32, "uid": 32, "gid": 32, "ct_state": 32, "ct_dir": 8,
    "ct_status": 32, "icmpv6_type": 8, "ct_label": 128, "pkt_type": 8, "icmp_code": 8, "icmpv6_code": 8, "icmpx_code": 8,
    "devgroup": 32, "dscp": 6, "ecn": 2, "fib_addrtype": 32, "boolean": 1, "ct_event": 32, "ifname": 128, "igmp_type": 8,
    "date": 64, "hour": 32, "day": 8, "cgroupsv2": 64, "verdict": 0,
}
HOST_ORDER = frozenset((
    "mark", "iface_index", "iface_type", "realm", "classid", "uid", "gid", "ct_state", "ct_dir", "ct_status", "ct_label",
    "pkt_type", "devgroup", "fib_addrtype", "ct_event", "ifname", "date", "hour", "day", "time", "cgroupsv2", "string",
))
BITMASKS = frozenset(("tcp_flag", "ct_state", "ct_status", "ct_label", "ct_event"))
PREFIXED = frozenset(("ipv4_addr", "ipv6_addr", "mark", "devgroup", "realm"))
STRINGS = frozenset(("ifname", "string"))
_HEX32 = frozenset(("mark",))


def format_value(dtype: str, value: int, bits: int) -> str:
    """One constant."""
    table = symbols.TABLES.get(dtype)
    if table is not None:
        name = table.get(value)
        if name is not None:
            return f'"{name}"' if dtype in symbols.QUOTED else name
    formatter = _FORMATTERS.get(dtype)
    if formatter is not None:
        return formatter(value)
    if dtype in _HEX32:
        return f"0x{value:08x}"
    if dtype in BITMASKS or dtype == "xinteger":
        return f"0x{value:x}"
    if dtype == "ll_addr":
        return _colons(value, bits // 8)
    return str(value)


def format_end(dtype: str, value: int, bits: int) -> str:
    """One end of a range: numbers, no names (range_expr_print)."""
    if dtype == "time":
        return f"{value // 1000}s"
    if dtype == "inet_proto":
        return str(value)
    return format_value(dtype, value, bits) if dtype not in symbols.TABLES or dtype in symbols.QUOTED else _unnamed(dtype, value)


def _unnamed(dtype: str, value: int) -> str:
    formatter = _FORMATTERS.get(dtype)
    if formatter is not None:
        return formatter(value)
    return f"0x{value:x}" if dtype in BITMASKS else str(value)


def format_flags(dtype: str, value: int) -> list[str]:
    """A bitmask's single bits, lowest first."""
    return [format_value(dtype, 1 << bit, 32) if dtype != "ct_label" else str(bit)
            for bit in range(value.bit_length()) if value >> bit & 1]


def format_string(data: bytes) -> str:
    """ifname and the like: quoted; without a terminating NUL it was a prefix match."""
    name, nul, _ = data.partition(b"\0")
    text = name.decode("utf-8", "surrogateescape")
    if not nul:
        return f'"{text}*"'
    if text.endswith("*"):
        text = text[:-1] + "\\*"
    return f'"{text}"'


def _colons(value: int, size: int) -> str:
    return ":".join(f"{byte:02x}" for byte in value.to_bytes(size, "big"))


def _ipv4(value: int) -> str:
    return format_address((value & 0xFFFFFFFF).to_bytes(4, "big"))


def _ipv6(value: int) -> str:
    return format_address((value & (1 << 128) - 1).to_bytes(16, "big"))


def _protocol(value: int) -> str:
    from pktdiag.netfilter.xt.render import PROTOCOLS

    return "ip" if not value else PROTOCOLS.get(value) or str(value)


def _duration(milliseconds: int) -> str:
    """time_print: 1d2h3m4s5ms, zero parts left out; a bare 0 is 0s."""
    parts, rest = [], milliseconds
    for size, unit in ((86400000, "d"), (3600000, "h"), (60000, "m"), (1000, "s"), (1, "ms")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _date(nanoseconds: int) -> str:
    from time import gmtime, strftime

    return strftime('"%Y-%m-%d %H:%M:%S"', gmtime(nanoseconds // 1_000_000_000))


def _hour(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f'"{hour:02d}:{minute:02d}:{second:02d}"' if second else f'"{hour:02d}:{minute:02d}"'


def _tchandle(value: int) -> str:
    if value == 0xFFFFFFFF:
        return "root"
    if not value:
        return "none"
    major, minor = value >> 16, value & 0xFFFF
    if not major:
        return f":{minor:x}"
    return f"{major:x}:{minor:x}" if minor else f"{major:x}:"


_FORMATTERS: dict[str, Callable[[int], str]] = {
    "ipv4_addr": _ipv4, "ipv6_addr": _ipv6, "ether_addr": lambda value: _colons(value, 6), "inet_proto": _protocol,
    "time": _duration, "date": _date, "hour": _hour, "classid": _tchandle, "ether_type": lambda value: f"0x{value:04x}",
    "realm": str, "dscp": lambda value: f"0x{value:02x}", "fib_addrtype": str,
}
duration = _duration
