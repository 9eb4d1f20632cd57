"""Counters and settings a namespace shows under /proc: SNMP, the names of its xt tables, its raw and ping sockets, multicast lists."""

from __future__ import annotations


def parse_snmp(snmp: bytes, netstat: bytes, snmp6: bytes) -> dict[str, int]:
    """/proc/net/snmp, netstat and snmp6 under nstat's names ("TcpExtListenOverflows"), zeroes included.

    The first two hold pairs of lines, "Ip: InReceives …" and "Ip: 17 …" (net/ipv4/proc.c: snmp_seq_show_ipstats,
    netstat_seq_show); the third one name and value a line (net/ipv6/proc.c: snmp6_seq_show).
    """
    counters: dict[str, int] = {}
    for table in (snmp, netstat):
        lines = table.decode("ascii", "replace").splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            prefix, _, rest = names.partition(": ")
            numbers = values.partition(": ")[2]
            counters.update(zip([prefix + name for name in rest.split()], map(int, numbers.split())))
    for line in snmp6.decode("ascii", "replace").splitlines():
        fields = line.split()
        if len(fields) == 2:
            counters[fields[0]] = int(fields[1])
    return counters


def parse_dev_mcast(text: bytes) -> dict[int, frozenset[bytes]]:
    """/proc/net/dev_mcast: the group addresses of each interface, by ifindex. A line each: ifindex, name, two counts, and the address
    in hexadecimal (net/core/net-procfs.c: dev_mc_seq_show)."""
    found: dict[int, set[bytes]] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 5:  # a device without link addresses prints none
            found.setdefault(int(fields[0]), set()).add(bytes.fromhex(fields[4].decode("ascii", "replace")))
    return {ifindex: frozenset(macs) for ifindex, macs in found.items()}
