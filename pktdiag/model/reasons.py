"""Drop reasons: what the kernel calls them, what they mean, and which counters usually move with them.

Names are SKB_DROP_REASON_* without the prefix (include/net/dropreason-core.h, v6.18); older kernels know fewer of them and
say NOT_SPECIFIED instead. ``counters`` are nstat's names (device counters as "rx_dropped", "tx_dropped").
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple


class Reason(NamedTuple):
    """One drop reason."""

    name: str
    text: str
    """Plain words, a whole sentence."""
    counters: tuple[str, ...] = ()
    """Counters that move with it; which of them depends on where the drop happens."""


_ALL = (
    Reason("", "The kernel reports no drop for this end."),
    Reason("NOT_SPECIFIED", "The kernel drops the packet here without naming a reason."),
    # -- devices
    Reason("DEV_READY", "The device is not up, or not ready to take packets.", ("rx_dropped",)),
    Reason("DEV_HDR", "The link-layer header or its metadata is invalid for this device.", ("rx_dropped", "tx_dropped")),
    Reason("CPU_BACKLOG", "The CPU's input queue (net.core.netdev_max_backlog) is full.", ("softnet dropped", "rx_dropped")),
    Reason("XDP", "An XDP program dropped the packet."),
    Reason("TC_INGRESS", "A tc filter or program at ingress dropped the packet."),
    Reason("TC_EGRESS", "A tc filter or program at egress dropped the packet.", ("tx_dropped",)),
    Reason("TC_CHAIN_NOTFOUND", "A tc action jumped to a chain that does not exist."),
    Reason("TC_RECLASSIFY_LOOP", "tc kept reclassifying the packet and gave up."),
    Reason("QDISC_DROP", "The queueing discipline refused the packet: it is full, or the device is down or without carrier.",
           ("tx_dropped",)),
    Reason("QDISC_OVERLIMIT", "The queueing discipline is over its limit.", ("tx_dropped",)),
    Reason("QDISC_CONGESTED", "The queueing discipline dropped the packet to signal congestion.", ("tx_dropped",)),
    Reason("FULL_RING", "The device's ring is full: the program behind it does not read fast enough.", ("rx_dropped", "tx_dropped")),
    Reason("TAP_FILTER", "A filter attached to the tun/tap device dropped the packet.", ("tx_dropped",)),
    Reason("TAP_TXFILTER", "The tap device's own address filter dropped the packet.", ("tx_dropped",)),
    Reason("RECURSION_LIMIT", "Too many virtual devices are stacked, or they form a loop.", ("tx_dropped",)),
    Reason("NOMEM", "No memory for the packet."),
    Reason("PFMEMALLOC", "Memory pressure: the packet used the emergency reserve and its receiver may not."),
    Reason("UNHANDLED_PROTO", "No protocol handles this kind of frame on this device.", ("rx_dropped", "rx_nohandler")),
    Reason("OTHERHOST", "The frame is addressed to another station; the device got it because it is promiscuous or the frame was flooded."),
    Reason("UNICAST_IN_L2_MULTICAST", "A unicast packet came in a multicast or broadcast frame (drop_unicast_in_l2_multicast)."),
    Reason("LOCAL_MAC", "The frame's source is this device's own address: it came back in a loop.", ("rx_errors",)),
    # -- bridge, vxlan
    Reason("MAC_INVALID_SOURCE", "The frame's source address is a group address or zero."),
    Reason("MAC_IEEE_MAC_CONTROL", "A pause frame; bridges never forward those."),
    Reason("BRIDGE_INGRESS_STP_STATE", "The bridge port it came in through is not forwarding (spanning tree, or set so by hand)."),
    Reason("NO_TX_TARGET", "There is no port or tunnel end to send the frame to.", ("tx_dropped",)),
    Reason("ARP_PVLAN_DISABLE", "An ARP packet within a private VLAN, whose proxying is off."),
    Reason("VXLAN_INVALID_HDR", "The vxlan header is malformed.", ("rx_errors",)),
    Reason("VXLAN_VNI_NOT_FOUND", "No vxlan device here has the packet's network identifier.", ("rx_dropped",)),
    Reason("VXLAN_ENTRY_EXISTS", "A static forwarding entry says the sender lives elsewhere.", ("rx_dropped",)),
    Reason("IP_TUNNEL_ECN", "The congestion bits of inner and outer header contradict each other.", ("rx_frame_errors",)),
    Reason("TUNNEL_TXINFO", "The tunnel device got a packet without the metadata it needs to send it.", ("tx_dropped",)),
    # -- neighbours
    Reason("NEIGH_CREATEFAIL", "No neighbour entry could be made: the table is full (net.ipv4.neigh.default.gc_thresh3)."),
    Reason("NEIGH_FAILED", "The next hop does not answer ARP or neighbour discovery.", ("IcmpOutDestUnreachs",)),
    Reason("QUEUE_PURGE", "The packet waited in a queue that was thrown away, such as that of a neighbour which does not answer."),
    Reason("NEIGH_QUEUEFULL", "Too many packets wait for the next hop's address (unres_qlen_bytes)."),
    Reason("NEIGH_DEAD", "The neighbour entry was being removed."),
    Reason("NEIGH_HH_FILLFAIL", "The prepared link-layer header did not fit in front of the packet."),
    # -- IP
    Reason("PKT_TOO_SMALL", "The packet is shorter than its own header says.", ("IpInTruncatedPkts", "Ip6InTruncatedPkts")),
    Reason("IP_CSUM", "The IPv4 header checksum is wrong.", ("IpExtInCsumErrors", "IpInHdrErrors")),
    Reason("IP_INHDR", "The IP header is invalid.", ("IpInHdrErrors", "Ip6InHdrErrors")),
    Reason("IP_RPFILTER", "Reverse path filtering: the way back to the source does not use the interface the packet came in on.",
           ("TcpExtIPReversePathFilter",)),
    Reason("IP_LOCAL_SOURCE", "The source is one of this host's own addresses, yet the packet came from outside (accept_local=0)."),
    Reason("IP_INVALID_SOURCE", "The source address cannot be the address of a host."),
    Reason("IP_LOCALNET", "127.0.0.0/8 outside the loopback interface (route_localnet=0)."),
    Reason("IP_INVALID_DEST", "The destination address cannot be delivered to or forwarded."),
    Reason("IP_INADDRERRORS", "The destination is not an address of this host, and it does not forward.",
           ("IpInAddrErrors", "Ip6InAddrErrors")),
    Reason("IP_INNOROUTES", "No route for a packet that is to be forwarded.", ("IpExtInNoRoutes", "Ip6InNoRoutes")),
    Reason("IP_OUTNOROUTES", "No route for a packet of this host's own.", ("IpOutNoRoutes", "Ip6OutNoRoutes")),
    Reason("PKT_TOO_BIG", "The packet exceeds the MTU and may not be fragmented.",
           ("IpFragFails", "Ip6InTooBigErrors", "Ip6FragFails", "IpInTooBigErrors")),
    Reason("IPV6DISABLED", "IPv6 is switched off on the interface (disable_ipv6).", ("Ip6InDiscards", "Ip6OutDiscards")),
    Reason("IPV6_BAD_EXTHDR", "A malformed IPv6 extension header.", ("Ip6InHdrErrors",)),
    Reason("IPV6_NDISC_FRAG", "Neighbour discovery in fragments is not accepted (suppress_frag_ndisc)."),
    Reason("IPV6_NDISC_HOP_LIMIT", "Neighbour discovery with a hop limit below 255: it came through a router."),
    Reason("IPV6_NDISC_BAD_CODE", "Neighbour discovery with an invalid ICMPv6 code."),
    Reason("IPV6_NDISC_BAD_OPTIONS", "Neighbour discovery with malformed options."),
    Reason("IPV6_NDISC_NS_OTHERHOST", "The neighbour solicitation asks for another host."),
    Reason("IP_NOPROTO", "No handler for this transport protocol; the host answers protocol unreachable.",
           ("IpInUnknownProtos", "Ip6InUnknownProtos")),
    Reason("FRAG_REASM_TIMEOUT", "The other fragments of the datagram did not arrive in time.", ("IpReasmTimeout", "IpReasmFails")),
    Reason("FRAG_TOO_FAR", "Too many other datagrams arrived between its fragments (ipfrag_max_dist).", ("IpReasmFails",)),
    Reason("DUP_FRAG", "The fragment repeats one that is already there.", ("IpReasmFails",)),
    Reason("XFRM_POLICY", "An IPsec policy refuses the packet.", ("XfrmInNoPols", "XfrmInPolBlock", "XfrmOutPolBlock")),
    # -- netfilter and programs
    Reason("NETFILTER_DROP", "A netfilter rule or policy (nftables, iptables) dropped it."),
    Reason("BPF_CGROUP_EGRESS", "A BPF program of the sender's cgroup dropped it."),
    Reason("SOCKET_FILTER", "A filter or BPF program attached to the receiving socket or its cgroup dropped it."),
    Reason("SECURITY_HOOK", "The security module (SELinux, Smack) refuses it."),
    # -- sockets
    Reason("NO_SOCKET", "Nothing listens there.", ("UdpNoPorts", "Udp6NoPorts", "TcpOutRsts")),
    Reason("SOCKET_CLOSE", "The socket was closed while the packet waited for it."),
    Reason("SOCKET_RCVBUFF", "The receiving socket's buffer is full.", ("UdpRcvbufErrors", "Udp6RcvbufErrors", "TcpExtTCPRcvQDrop")),
    Reason("SOCKET_BACKLOG", "The socket is busy and its backlog is full.", ("TcpExtTCPBacklogDrop",)),
    Reason("PROTO_MEM", "The protocol's memory limit is reached.", ("UdpMemErrors", "Udp6MemErrors")),
    Reason("PACKET_SOCK_ERROR", "A packet socket (a tap) could not take its copy."),
    Reason("UDP_CSUM", "The UDP checksum is wrong.", ("UdpInCsumErrors", "Udp6InCsumErrors")),
    Reason("ICMP_CSUM", "The ICMP checksum is wrong.", ("IcmpInCsumErrors", "Icmp6InCsumErrors")),
    Reason("INVALID_PROTO", "The message does not follow its protocol.", ("IcmpInErrors", "Icmp6InErrors")),
    Reason("TCP_CSUM", "The TCP checksum is wrong.", ("TcpInCsumErrors",)),
    Reason("TCP_FLAGS", "TCP flags that make no sense in the connection's state."),
    Reason("TCP_LISTEN_OVERFLOW", "The listener's accept queue is full: the program does not accept() fast enough.",
           ("TcpExtListenOverflows", "TcpExtListenDrops")),
    Reason("TCP_MINTTL", "The TTL is below the socket's minimum.", ("TcpExtTCPMinTTLDrop",)),
    Reason("TCP_CLOSE", "The TCP socket is closed already."),
    Reason("TCP_RESET", "The connection was reset."),
    Reason("TCP_INVALID_SYN", "A SYN within an established connection.", ("TcpExtTCPSYNChallenge",)),
    Reason("TCP_INVALID_SEQUENCE", "The TCP sequence number lies outside the window."),
    Reason("TCP_OLD_ACK", "A TCP acknowledgement that is out of date."),
    Reason("TCP_TOO_OLD_ACK", "A TCP acknowledgement far out of date.", ("TcpExtTCPChallengeACK",)),
    Reason("TCP_ACK_UNSENT_DATA", "A TCP acknowledgement of data that was never sent.", ("TcpExtTCPChallengeACK",)),
    Reason("TCP_RFC7323_PAWS", "An old TCP timestamp: the segment is taken for a duplicate.", ("TcpExtPAWSEstab",)),
    Reason("TCP_MD5NOTFOUND", "A TCP MD5 signature is expected and missing.", ("TcpExtTCPMD5NotFound",)),
    Reason("TCP_MD5UNEXPECTED", "A TCP MD5 signature is present and not expected.", ("TcpExtTCPMD5Unexpected",)),
    Reason("TCP_MD5FAILURE", "The TCP MD5 signature is wrong.", ("TcpExtTCPMD5Failure",)),
    Reason("TCP_ZEROWINDOW", "The TCP receive window is closed.", ("TcpExtTCPZeroWindowDrop",)),
    Reason("TCP_OLD_DATA", "TCP data that was received before.", ("TcpExtDelayedACKLost",)),
    Reason("TCP_OVERWINDOW", "TCP data beyond the receive window."),
)

REASONS: dict[str, Reason] = {reason.name: reason for reason in _ALL}


def text_of(name: str) -> str:
    """The plain words for a reason; for one not listed here, its name made readable."""
    known = REASONS.get(name)
    return known.text if known else f"The kernel calls it {name.lower().replace('_', ' ')}."
