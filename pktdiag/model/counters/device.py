"""Interfaces (rtnl_link_stats64 as /proc/net/dev shows them: net/core/net-procfs.c), the softirq backlog
(softnet_data: net/core/net-procfs.c: softnet_seq_show), conntrack (struct ip_conntrack_stat)."""

from __future__ import annotations

from pktdiag.model.counters.kind import Counter, bad, benign, suspicious

_BUSY = "a CPU is too busy: spread the queues (irqbalance, RPS), raise net.core.netdev_max_backlog / netdev_budget"
_FULL = "raise net.netfilter.nf_conntrack_max and the buckets, shorten timeouts, or leave traffic untracked (notrack)"

DEVICE: dict[str, Counter] = {
    "rx_bytes": benign("bytes received"), "rx_packets": benign("packets received"),
    "rx_errors": bad("frames received broken", "cable, transceiver or duplex: ethtool -S"),
    "rx_dropped": suspicious("frames dropped on receipt: nobody wanted the protocol or VLAN, a down peer, or no buffer",
                             "small and steady is usual (LLDP, STP); else ethtool -S and the ring size (ethtool -g)"),
    "rx_fifo": bad("frames lost because the ring was full", "enlarge the ring: ethtool -G; spread the interrupts"),
    "rx_frame": bad("frames with a framing error", "cable, transceiver or duplex"),
    "rx_compressed": benign("compressed frames received"), "rx_multicast": benign("multicast frames received"),
    "tx_bytes": benign("bytes sent"), "tx_packets": benign("packets sent"),
    "tx_errors": bad("frames that could not be sent", "link state and ethtool -S; tunnels: no route to the other end"),
    "tx_dropped": bad("frames dropped on sending: a full queue, a peer that is down, or too big for the other end",
                      "tc -s qdisc; for a veth look at its peer's state and MTU"),
    "tx_fifo": bad("frames lost because the ring was full"), "tx_colls": suspicious("collisions", "half duplex: check autonegotiation"),
    "tx_carrier": bad("frames lost because there was no carrier", "cable or peer"), "tx_compressed": benign("compressed frames sent"),
}
SOFTNET: dict[str, Counter] = {
    "processed": benign("frames taken from the backlog or a device"),
    "dropped": bad("frames dropped: a CPU's backlog was full (net.core.netdev_max_backlog)", _BUSY),
    "time_squeeze": suspicious("times the softirq had to stop with work left", _BUSY),
    "cpu_collision": benign("collisions on the transmit lock (obsolete)"),
    "received_rps": benign("frames handed to another CPU"),
    "flow_limit_count": suspicious("frames of a large flow dropped to save the others (net.core.flow_limit_cpu_bitmap)"),
}
CONNTRACK: dict[str, Counter] = {
    "entries": benign("connections tracked now", gauge=True), "searched": benign("entries looked at"), "found": benign("packets whose connection was found"),
    "new": benign("connections seen first"), "clashres": suspicious("two packets of one new connection raced, and it was settled"),
    "invalid": suspicious("packets that fit no connection (state INVALID)",
                          "asymmetric routing or late packets; harmful where a rule drops INVALID: net.netfilter.nf_conntrack_tcp_be_liberal"),
    "ignore": benign("packets already tracked or untracked"), "delete": benign("entries removed"), "delete_list": benign("entries removed"),
    "insert": benign("entries made"),
    "insert_failed": bad("new connections lost: another packet took the same translated address and port first",
                         "SNAT port collision or DNS race: masquerade --random-fully, a local resolver"),
    "drop": bad("packets dropped: the connection table was full, or memory was", _FULL),
    "early_drop": bad("unconfirmed connections thrown out to make room", _FULL),
    "icmp_error": suspicious("ICMP errors about no known connection"), "expect_new": benign("expected connections (helpers)"),
    "expect_create": benign("expected connections made"), "expect_delete": benign("expected connections removed"),
    "search_restart": benign("lookups started over while the table grew"),
    "chaintoolong": bad("new connections dropped: a hash chain is too long", "raise net.netfilter.nf_conntrack_buckets"),
}
TABLES = {"dev": DEVICE, "softnet": SOFTNET, "conntrack": CONNTRACK}
