"""Ip, IpExt and Ip6: net/ipv4/ip_input.c, ip_forward.c, ip_output.c, ip_fragment.c and their IPv6 twins."""

from __future__ import annotations

from pktdiag.model.counters.kind import Counter, bad, benign, suspicious

_ROUTE = "ask `pktdiag why-dropped SRC DST`; look at `ip route get` and `ip rule`"
_REASM = "look for a broken path MTU, or for lost fragments on the way (tcpdump 'ip[6:2] & 0x3fff != 0')"
TABLE: dict[str, Counter] = {
    "Forwarding": benign("1: this namespace forwards, 2: it does not", gauge=True),
    "DefaultTTL": benign("the TTL of its own packets", gauge=True),
    "InReceives": benign("packets that reached IP, before anything was checked"),
    "InHdrErrors": bad("packets with a broken IP header, or whose TTL ran out here",
                       "TTL ran out: look for a routing loop; else for a defective sender"),
    "InTooBigErrors": suspicious("packets too big for the outgoing link; the sender was told (packet too big)",
                                 "normal for path MTU discovery; make sure ICMP gets through"),
    "InAddrErrors": bad("packets for an address that is not ours and may not be forwarded (ip_forward is 0, a martian "
                        "address, or a destination no route accepts)",
                        "switch on net.ipv4.ip_forward (all and the interface) if this host should route"),
    "ForwDatagrams": benign("packets forwarded; since Linux 6.7 counted before FORWARD rules, which may still drop them"),
    "OutForwDatagrams": benign("packets forwarded; since Linux 6.7 counted before FORWARD rules, which may still drop them"),
    "InUnknownProtos": bad("packets of a protocol nobody here handles; the sender was told (protocol unreachable)",
                           "load the module of the protocol, or stop the sender"),
    "InDiscards": bad("received packets dropped for lack of memory or by a failed check",
                      "look at memory pressure; on recent kernels at socket filters too"),
    "InDelivers": benign("packets handed to a protocol (TCP, UDP, ICMP) of this namespace"),
    "OutRequests": benign("packets this namespace made itself"),
    "OutTransmits": benign("packets handed to a device, forwarded ones included"),
    "OutDiscards": bad("own packets dropped for lack of memory, by a failed neighbour or by a device that refused",
                       "look at `ip neigh` for FAILED entries and at the qdisc's drops (tc -s qdisc)"),
    "OutNoRoutes": bad("own packets without a route (\"network is unreachable\")", _ROUTE),
    "InNoRoutes": bad("received packets that were to be forwarded and had no route", _ROUTE),
    "ReasmTimeout": suspicious("fragment queues given up: some fragment never came", _REASM),
    "ReasmReqds": benign("fragments received for reassembly"),
    "ReasmOKs": benign("packets put together from fragments"),
    "ReasmFails": bad("reassemblies that failed: timeout, overlap, or net.ipv4.ipfrag_high_thresh reached", _REASM),
    "ReasmOverlaps": suspicious("fragments that overlap: a broken or hostile sender"),
    "FragOKs": benign("packets cut into fragments"),
    "FragFails": bad("packets too big for the link that must not be cut (DF set)",
                     "lower the MTU at the source, clamp the MSS, and let ICMP fragmentation-needed through"),
    "FragCreates": benign("fragments made"),
    "InTruncatedPkts": bad("packets shorter than their header says", "look for a defective driver or sender"),
    "InCsumErrors": bad("packets with a wrong IP header checksum", "look for defective hardware or a driver's offload"),
    "InMcastPkts": benign("multicast packets received"), "OutMcastPkts": benign("multicast packets sent"),
    "InBcastPkts": benign("broadcast packets received"), "OutBcastPkts": benign("broadcast packets sent"),
    "InOctets": benign("bytes received"), "OutOctets": benign("bytes sent"),
    "InMcastOctets": benign("multicast bytes received"), "OutMcastOctets": benign("multicast bytes sent"),
    "InBcastOctets": benign("broadcast bytes received"), "OutBcastOctets": benign("broadcast bytes sent"),
    "InNoECTPkts": benign("packets received without ECN"), "InECT1Pkts": benign("packets received with ECT(1)"),
    "InECT0Pkts": benign("packets received with ECT(0)"),
    "InCEPkts": suspicious("packets marked on their way: some router's queue is filling"),
}


def find(name: str) -> Counter | None:
    """By full name: IpX, IpExtX or Ip6X."""
    if name.startswith("Ip6"):
        known = TABLE.get(name[3:])
        return known._replace(text=f"IPv6: {known.text}", todo=_for_ipv6(known.todo)) if known is not None else None
    return TABLE.get(name.removeprefix("IpExt") if name.startswith("IpExt") else name[2:])


def _for_ipv6(todo: str) -> str:
    return (todo.replace("net.ipv4.ip_forward (all and the interface)", "net.ipv6.conf.all.forwarding")
            .replace("ip route get", "ip -6 route get").replace("ip rule", "ip -6 rule").replace("ip neigh", "ip -6 neigh")
            .replace(" (tcpdump 'ip[6:2] & 0x3fff != 0')", " (tcpdump 'ip6 proto 44')"))
