"""Icmp, Udp, UdpLite and their IPv6 twins: net/ipv4/icmp.c, net/ipv4/udp.c, net/ipv6/icmp.c, net/ipv6/udp.c."""

from __future__ import annotations

from pktdiag.model.counters.kind import Counter, bad, benign, suspicious

_UNREACH = "tcpdump -n icmp shows which packets: the error quotes them"
ICMP: dict[str, Counter] = {
    "InMsgs": benign("ICMP messages received"), "OutMsgs": benign("ICMP messages sent"),
    "InErrors": suspicious("ICMP messages not understood, or about a connection nobody has here"),
    "InCsumErrors": bad("ICMP messages with a wrong checksum", "look for defective hardware or a driver's offload"),
    "OutErrors": suspicious("ICMP messages that could not be sent (no route, no memory)"),
    "InDestUnreachs": suspicious("somebody told us that a destination cannot be reached", _UNREACH),
    "OutDestUnreachs": suspicious("we told somebody: nobody listens, no route, or a REJECT rule",
                                  "compare with UdpNoPorts; look at REJECT rules' counters; " + _UNREACH),
    "InTimeExcds": suspicious("a packet of ours ran out of TTL on its way", "traceroute, or a routing loop"),
    "OutTimeExcds": suspicious("a packet ran out of TTL here, or a fragment never came", "traceroute through us, or a routing loop"),
    "InParmProbs": suspicious("somebody found a header of ours broken"),
    "OutParmProbs": suspicious("a received header was broken, and its sender was told"),
    "InParmProblems": suspicious("somebody found a header of ours broken"),
    "OutParmProblems": suspicious("a received header was broken, and its sender was told"),
    "InPktTooBigs": suspicious("a router told us that our packet is too big: path MTU discovery at work"),
    "OutPktTooBigs": suspicious("a packet was too big to be forwarded and its sender was told"),
    "InSrcQuenchs": benign("source quench received (obsolete)"), "OutSrcQuenchs": benign("source quench sent (obsolete)"),
    "InRedirects": suspicious("a router told us of a better way", "fix the route; redirects may be ignored (accept_redirects)"),
    "OutRedirects": suspicious("we told a neighbour of a better way: it sends through us what it could reach itself"),
    "InEchos": benign("pings received"), "OutEchos": benign("pings sent"),
    "InEchoReps": benign("ping answers received"), "OutEchoReps": benign("ping answers sent"),
    "InEchoReplies": benign("ping answers received"), "OutEchoReplies": benign("ping answers sent"),
    "InTimestamps": benign("timestamp requests received"), "OutTimestamps": benign("timestamp requests sent"),
    "InTimestampReps": benign("timestamp answers received"), "OutTimestampReps": benign("timestamp answers sent"),
    "InAddrMasks": benign("address mask requests received"), "OutAddrMasks": benign("address mask requests sent"),
    "InAddrMaskReps": benign("address mask answers received"), "OutAddrMaskReps": benign("address mask answers sent"),
    "OutRateLimitGlobal": suspicious("ICMP messages not sent: net.ipv4.icmp_msgs_per_sec was reached"),
    "OutRateLimitHost": suspicious("ICMP messages not sent: net.ipv4.icmp_ratelimit towards one host was reached"),
    "InGroupMembQueries": benign("MLD queries received"), "OutGroupMembQueries": benign("MLD queries sent"),
    "InGroupMembResponses": benign("MLD reports received"), "OutGroupMembResponses": benign("MLD reports sent"),
    "InGroupMembReductions": benign("MLD done messages received"), "OutGroupMembReductions": benign("MLD done messages sent"),
    "InMLDv2Reports": benign("MLDv2 reports received"), "OutMLDv2Reports": benign("MLDv2 reports sent"),
    "InRouterSolicits": benign("router solicitations received"), "OutRouterSolicits": benign("router solicitations sent"),
    "InRouterAdvertisements": benign("router advertisements received"),
    "OutRouterAdvertisements": benign("router advertisements sent"),
    "InNeighborSolicits": benign("neighbour solicitations received"), "OutNeighborSolicits": benign("neighbour solicitations sent"),
    "InNeighborAdvertisements": benign("neighbour advertisements received"),
    "OutNeighborAdvertisements": benign("neighbour advertisements sent"),
}
_BUFFER = "the program reads too slowly: raise SO_RCVBUF and net.core.rmem_max, or give it CPU; `ss -uamn` shows the queues"
UDP: dict[str, Counter] = {
    "InDatagrams": benign("datagrams delivered to a program"), "OutDatagrams": benign("datagrams sent by a program"),
    "NoPorts": bad("datagrams for a port nobody listens on; the sender was told (port unreachable)",
                   "start the program, bind it to the right address, or publish the container's port"),
    "InErrors": bad("datagrams not delivered: full receive buffer, wrong checksum, or a socket filter", _BUFFER),
    "RcvbufErrors": bad("datagrams lost because the program's receive buffer was full", _BUFFER),
    "SndbufErrors": bad("datagrams not sent because the send buffer or the device's queue was full",
                        "raise SO_SNDBUF, or send more slowly"),
    "InCsumErrors": bad("datagrams with a wrong checksum", "look for defective hardware, a driver's offload, or a tunnel that breaks them"),
    "IgnoredMulti": benign("multicast datagrams no program here has joined"),
    "MemErrors": bad("datagrams lost because all UDP memory was used (net.ipv4.udp_mem)", "find the socket that is not read: ss -uamp"),
}
_UDP6 = {**UDP, "InCsumErrors": bad(UDP["InCsumErrors"].text, f"{UDP['InCsumErrors'].todo}, or for rules that write into the IPv6 header "
                                    "behind conntrack (DSCP, HL, nft ip6 … set)")}
_PREFIXES = (("UdpLite6", UDP, "UDP-Lite over IPv6: "), ("UdpLite", UDP, "UDP-Lite: "), ("Udp6", _UDP6, "IPv6: "), ("Udp", UDP, ""),
             ("Icmp6", ICMP, "IPv6: "), ("Icmp", ICMP, ""))


def find(name: str) -> Counter | None:
    """By full name; IcmpMsgInType3 and Icmp6OutType135 are counted by type and read so."""
    if name.startswith("IcmpMsg") or (name.startswith("Icmp6") and "Type" in name):
        number = name.rpartition("Type")[2]
        way = "received" if "InType" in name else "sent"
        return benign(f"ICMP{'v6' if name.startswith('Icmp6') else ''} messages of type {number} {way}")
    for prefix, table, note in _PREFIXES:
        if name.startswith(prefix):
            known = table.get(name[len(prefix):])
            return known._replace(text=note + known.text) if known is not None else None
    return None
