"""Counters and settings a namespace shows under /proc: SNMP, the names of its xt tables, its raw and ping sockets."""

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
