"""Counters read from /proc, anew at every call: interfaces, softnet, conntrack, SNMP."""

from __future__ import annotations

from pktdiag.collect.live_namespace import LiveNamespace
from pktdiag.collect.sysfiles import parse_snmp
from pktdiag.model.counters.reading import Reading
from pktdiag.model.host import Gap
from pktdiag.model.view import Unreadable

_NET = "/proc/thread-self/net/"
# net/core/net-procfs.c: dev_seq_printf_stats
_DEV_COLUMNS = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_fifo", "rx_frame", "rx_compressed", "rx_multicast",
                "tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_fifo", "tx_colls", "tx_carrier", "tx_compressed")
# net/core/net-procfs.c: softnet_seq_show
_SOFTNET_COLUMNS = {0: "processed", 1: "dropped", 2: "time_squeeze", 8: "cpu_collision", 9: "received_rps", 10: "flow_limit_count"}


def read(ns: LiveNamespace, with_softnet: bool) -> Reading:
    """Everything ``ns`` counts now. Raises Unreadable when it vanished or may not be entered."""
    try:
        def file(name: str) -> bytes:
            return ns.door.read(_NET + name) or b""
        snmp = parse_snmp(file("snmp"), file("netstat"), file("snmp6"))
        return Reading(ns.id, snmp, devices(file("dev")), per_cpu(file("stat/nf_conntrack")),
                       softnet(file("softnet_stat")) if with_softnet else {}, _limits(ns))
    except PermissionError:
        raise Unreadable(Gap(ns.id, "counters", "permission denied", "run as root")) from None
    except OSError as error:
        raise Unreadable(Gap(ns.id, "counters", error.strerror or "the namespace vanished", "")) from None


def _limits(ns: LiveNamespace) -> tuple[int, int] | None:
    base = "/proc/sys/net/netfilter/nf_conntrack_"
    count, top = ns.door.read(base + "count"), ns.door.read(base + "max")
    return (int(count), int(top)) if count and top else None


def devices(data: bytes) -> dict[str, dict[str, int]]:
    """/proc/net/dev: two heading lines, then ``NAME: 16 numbers`` (a name may hold anything but ``/``, ``:`` and space)."""
    found = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n")[2:]:
        name, colon, numbers = line.rpartition(":")
        if colon:
            found[name.strip(" ")] = dict(zip(_DEV_COLUMNS, map(int, numbers.split())))
    return found


def softnet(data: bytes) -> dict[str, int]:
    """/proc/net/softnet_stat: hexadecimal columns, a line per CPU; summed."""
    sums = dict.fromkeys(_SOFTNET_COLUMNS.values(), 0)
    for line in data.decode("ascii", "replace").splitlines():
        for column, number in enumerate(line.split()):
            if column in _SOFTNET_COLUMNS:
                sums[_SOFTNET_COLUMNS[column]] += int(number, 16)
    return sums


def per_cpu(data: bytes) -> dict[str, int]:
    """/proc/net/stat/nf_conntrack: a heading, hexadecimal columns, a line per CPU; summed. ``entries`` is a level that
    every line repeats (net/netfilter/nf_conntrack_standalone.c: ct_cpu_seq_show)."""
    lines = data.decode("ascii", "replace").splitlines()
    if not lines:
        return {}
    names = lines[0].split()
    sums = dict.fromkeys(names, 0)
    for line in lines[1:]:
        for name, number in zip(names, line.split()):
            sums[name] = max(sums[name], int(number, 16)) if name == "entries" else sums[name] + int(number, 16)
    return sums
