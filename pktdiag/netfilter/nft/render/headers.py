"""Header fields by their place, as nft names them (src/proto.c, exthdr.c, tcpopt.c, ipopt.c of nftables). Offsets in bits."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

LL, NETWORK, TRANSPORT, INNER = range(4)


class Field(NamedTuple):
    name: str
    offset: int
    bits: int
    dtype: str = "integer"
    icmp: int | None = None
    """The field exists only in ICMP messages of this type."""


class Header(NamedTuple):
    name: str
    base: int
    fields: tuple[Field, ...]
    key: str = ""
    """The field that names the protocol inside."""
    upper: dict[int, str] = {}


def _ports(name: str, *more: Field) -> Header:
    return Header(name, TRANSPORT, (Field("sport", 0, 16, "inet_service"), Field("dport", 16, 16, "inet_service"), *more))


L4 = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 50: "esp", 51: "ah", 58: "icmpv6", 108: "comp", 132: "sctp",
      136: "udplite"}
_ETHERTYPES = {0x0800: "ip", 0x0806: "arp", 0x86DD: "ip6", 0x8100: "vlan", 0x88A8: "vlan"}
HEADERS = {each.name: each for each in (
    Header("ether", LL, (Field("daddr", 0, 48, "ether_addr"), Field("saddr", 48, 48, "ether_addr"),
                         Field("type", 96, 16, "ether_type")), "type", _ETHERTYPES),
    Header("vlan", LL, (Field("pcp", 0, 3), Field("dei", 3, 1), Field("id", 4, 12), Field("type", 16, 16, "ether_type")),
           "type", _ETHERTYPES),
    Header("arp", NETWORK, (Field("htype", 0, 16), Field("ptype", 16, 16, "ether_type"), Field("hlen", 32, 8),
                            Field("plen", 40, 8), Field("operation", 48, 16, "arp_op"),
                            Field("saddr ether", 64, 48, "ether_addr"), Field("saddr ip", 112, 32, "ipv4_addr"),
                            Field("daddr ether", 144, 48, "ether_addr"), Field("daddr ip", 192, 32, "ipv4_addr"))),
    Header("ip", NETWORK, (Field("version", 0, 4), Field("hdrlength", 4, 4), Field("dscp", 8, 6, "dscp"),
                           Field("ecn", 14, 2, "ecn"), Field("length", 16, 16), Field("id", 32, 16),
                           Field("frag-off", 48, 16), Field("ttl", 64, 8), Field("protocol", 72, 8, "inet_proto"),
                           Field("checksum", 80, 16), Field("saddr", 96, 32, "ipv4_addr"),
                           Field("daddr", 128, 32, "ipv4_addr")), "protocol", L4),
    Header("ip6", NETWORK, (Field("version", 0, 4), Field("dscp", 4, 6, "dscp"), Field("ecn", 10, 2, "ecn"),
                            Field("flowlabel", 12, 20), Field("length", 32, 16), Field("nexthdr", 48, 8, "inet_proto"),
                            Field("hoplimit", 56, 8), Field("saddr", 64, 128, "ipv6_addr"),
                            Field("daddr", 192, 128, "ipv6_addr")), "nexthdr", L4),
    _ports("tcp", Field("sequence", 32, 32), Field("ackseq", 64, 32), Field("doff", 96, 4), Field("reserved", 100, 4),
           Field("flags", 104, 8, "tcp_flag"), Field("window", 112, 16), Field("checksum", 128, 16), Field("urgptr", 144, 16)),
    _ports("udp", Field("length", 32, 16), Field("checksum", 48, 16)),
    _ports("udplite", Field("csumcov", 32, 16), Field("checksum", 48, 16)),
    _ports("sctp", Field("vtag", 32, 32), Field("checksum", 64, 32)),
    _ports("dccp", Field("type", 67, 4, "dccp_pkttype")),
    _ports("th"),
    Header("icmp", TRANSPORT, (Field("type", 0, 8, "icmp_type"), Field("code", 8, 8, "icmp_code"), Field("checksum", 16, 16),
                               Field("id", 32, 16, icmp=8), Field("sequence", 48, 16, icmp=8), Field("gateway", 32, 32, icmp=5),
                               Field("mtu", 48, 16, icmp=3))),
    Header("icmpv6", TRANSPORT, (Field("type", 0, 8, "icmpv6_type"), Field("code", 8, 8, "icmpv6_code"),
                                 Field("checksum", 16, 16), Field("parameter-problem", 32, 32, icmp=4),
                                 Field("mtu", 32, 32, icmp=2), Field("id", 32, 16, icmp=128),
                                 Field("sequence", 48, 16, icmp=128), Field("max-delay", 32, 16, icmp=130))),
    Header("igmp", TRANSPORT, (Field("type", 0, 8, "igmp_type"), Field("mrt", 8, 8), Field("checksum", 16, 16),
                               Field("group", 32, 32))),
    Header("ah", TRANSPORT, (Field("nexthdr", 0, 8, "inet_proto"), Field("hdrlength", 8, 8), Field("reserved", 16, 16),
                             Field("spi", 32, 32), Field("sequence", 64, 32)), "nexthdr", L4),
    Header("esp", TRANSPORT, (Field("spi", 0, 32), Field("sequence", 32, 32))),
    Header("comp", TRANSPORT, (Field("nexthdr", 0, 8, "inet_proto"), Field("flags", 8, 8, "xinteger"),
                               Field("cpi", 16, 16)), "nexthdr", L4),
)}

_NEXT = Field("nexthdr", 0, 8, "inet_proto")
_LENGTH = Field("hdrlength", 8, 8)
IPV6_EXTENSIONS = {
    0: ("hbh", (_NEXT, _LENGTH)), 60: ("dst", (_NEXT, _LENGTH)),
    43: ("rt", (_NEXT, _LENGTH, Field("type", 16, 8), Field("seg-left", 24, 8))),
    44: ("frag", (_NEXT, Field("reserved", 8, 8), Field("frag-off", 16, 13), Field("reserved2", 29, 2),
                  Field("more-fragments", 31, 1), Field("id", 32, 32))),
    135: ("mh", (_NEXT, _LENGTH, Field("type", 16, 8, "mh_type"), Field("reserved", 24, 8), Field("checksum", 32, 16))),
}
_KIND, _SIZE = Field("kind", 0, 8), Field("length", 8, 8)
TCP_OPTIONS = {
    0: ("eol", (_KIND,)), 1: ("nop", (_KIND,)), 2: ("maxseg", (_KIND, _SIZE, Field("size", 16, 16))),
    3: ("window", (_KIND, _SIZE, Field("count", 16, 8))), 4: ("sack-perm", (_KIND, _SIZE)),
    5: ("sack", (_KIND, _SIZE, Field("left", 16, 32), Field("right", 48, 32), Field("left", 80, 32), Field("right", 112, 32))),
    8: ("timestamp", (_KIND, _SIZE, Field("tsval", 16, 32), Field("tsecr", 48, 32))),
    19: ("md5sig", (_KIND, _SIZE)), 30: ("mptcp", (_KIND, _SIZE, Field("subtype", 16, 4))),
    34: ("fastopen", (_KIND, _SIZE)),
}
IP_OPTIONS = {
    131: ("lsrr", (Field("type", 0, 8), _SIZE, Field("ptr", 16, 8), Field("addr", 24, 32, "ipv4_addr"))),
    7: ("rr", (Field("type", 0, 8), _SIZE, Field("ptr", 16, 8), Field("addr", 24, 32, "ipv4_addr"))),
    137: ("ssrr", (Field("type", 0, 8), _SIZE, Field("ptr", 16, 8), Field("addr", 24, 32, "ipv4_addr"))),
    148: ("ra", (Field("type", 0, 8), _SIZE, Field("value", 16, 16))),
}
SCTP_COMMON = (Field("type", 0, 8), Field("flags", 8, 8), Field("length", 16, 16))
_INIT = (Field("init-tag", 32, 32), Field("a-rwnd", 64, 32), Field("num-outbound-streams", 96, 16),
         Field("num-inbound-streams", 112, 16), Field("initial-tsn", 128, 32))
SCTP_FIELDS = {
    "data": (Field("tsn", 32, 32), Field("stream", 64, 16), Field("ssn", 80, 16), Field("ppid", 96, 32)), "init": _INIT,
    "init-ack": _INIT, "sack": (Field("cum-tsn-ack", 32, 32), Field("a-rwnd", 64, 32), Field("num-gap-ack-blocks", 96, 16),
                                Field("num-dup-tsns", 112, 16)),
    "shutdown": (Field("cum-tsn-ack", 32, 32),), "ecne": (Field("lowest-tsn", 32, 32),), "cwr": (Field("lowest-tsn", 32, 32),),
    "asconf-ack": (Field("seqno", 32, 32),), "asconf": (Field("seqno", 32, 32),), "forward-tsn": (Field("new-cum-tsn", 32, 32),),
}
"""Fields behind type, flags and length."""
SCTP_CHUNKS = {0: "data", 1: "init", 2: "init-ack", 3: "sack", 4: "heartbeat", 5: "heartbeat-ack", 6: "abort", 7: "shutdown",
               8: "shutdown-ack", 9: "error", 10: "cookie-echo", 11: "cookie-ack", 12: "ecne", 13: "cwr",
               14: "shutdown-complete", 128: "asconf-ack", 130: "re-config", 132: "pad", 192: "forward-tsn", 193: "asconf",
               194: "i-forward-tsn", 64: "i-data"}
