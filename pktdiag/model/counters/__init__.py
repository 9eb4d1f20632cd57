"""What each counter means, in plain words: nstat's names, interface statistics, softnet, conntrack.

Names and where they are counted: include/uapi/linux/snmp.h, net/ipv4/proc.c (snmp4_*_list), net/ipv6/proc.c
(snmp6_*_list), net/core/net-procfs.c (softnet_seq_show), net/netfilter/nf_conntrack_standalone.c (ct_cpu_seq_show),
Documentation/networking/statistics.rst and snmp_counter.rst. The tables are split by layer; only what is asked for is loaded.
"""

from __future__ import annotations

from pktdiag.model.counters.kind import BAD, BENIGN, SUSPICIOUS, Counter

__all__ = ["BAD", "BENIGN", "SUSPICIOUS", "Counter", "lookup"]


def lookup(name: str) -> Counter | None:
    """The meaning of a counter by nstat's name ("UdpNoPorts", "TcpExtListenDrops") or by ours for the rest
    ("dev.rx_dropped", "softnet.dropped", "conntrack.insert_failed"); None where we have no words for it."""
    if name.startswith("TcpExt"):
        from pktdiag.model.counters import tcp_ext
        return tcp_ext.TABLE.get(name[6:])
    if name.startswith(("Icmp", "Udp")):
        from pktdiag.model.counters import icmp_udp
        return icmp_udp.find(name)
    if name.startswith("Ip"):
        from pktdiag.model.counters import ip
        return ip.find(name)
    if name.startswith("Tcp"):
        from pktdiag.model.counters import tcp
        return tcp.TABLE.get(name[3:])
    if name.startswith("MPTcpExt"):
        from pktdiag.model.counters import mptcp
        return mptcp.find(name[8:])
    kind, _, rest = name.partition(".")
    if kind in ("dev", "softnet", "conntrack"):
        from pktdiag.model.counters import device
        return device.TABLES[kind].get(rest)
    return None
