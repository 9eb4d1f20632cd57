"""One conntrack entry by its tuple, and all expectations: IPCTNL_MSG_CT_GET, IPCTNL_MSG_EXP_GET
(net/netfilter/nf_conntrack_netlink.c: ctnetlink_get_conntrack, ctnetlink_exp_dump_table)."""

from __future__ import annotations

import errno

from pktdiag.collect.netlink import Netlink, attribute, attributes, be, nested, text
from pktdiag.model.host import ConntrackEntry, ConntrackTuple, Expectation
from pktdiag.model.kernel import AF_INET, AF_INET6, IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_ICMPV6, PORT_PROTOS

IPCTNL_MSG_CT_GET, IPCTNL_MSG_EXP_GET = 1 << 8 | 1, 2 << 8 | 1
CTA_EXPECT_MASTER, CTA_EXPECT_TUPLE, CTA_EXPECT_MASK, CTA_EXPECT_HELP_NAME, CTA_EXPECT_ZONE, CTA_EXPECT_FLAGS = 1, 2, 3, 6, 7, 8
NF_CT_EXPECT_INACTIVE = 2
(CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO, CTA_HELP, CTA_TIMEOUT, CTA_MARK, CTA_COUNTERS_ORIG,
 CTA_COUNTERS_REPLY, CTA_ID, CTA_TUPLE_MASTER, CTA_ZONE, CTA_SECCTX, CTA_LABELS) = (
    1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 14, 18, 19, 22)
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_TUPLE_ZONE = 1, 2, 3
CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST = 1, 2, 3, 4
(CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE,
 CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE) = range(1, 10)
CTA_PROTOINFO_TCP, CTA_PROTOINFO_SCTP = 1, 3
CTA_PROTOINFO_SCTP_STATE, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, CTA_PROTOINFO_SCTP_VTAG_REPLY = 1, 2, 3
CTA_PROTOINFO_TCP_STATE, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY = 1, 4, 5
_WITH_PORTS = PORT_PROTOS | {IPPROTO_GRE}


def read_entry(netlink: Netlink, tuple_: ConntrackTuple, reply: bool, zone: int) -> ConntrackEntry | None:
    """The entry whose original (or reply) direction is ``tuple_``; None when there is none.

    The kernel looks a tuple up in one hash that holds both directions of every entry, so an entry found the other way
    round is not the one asked for.
    """
    family = AF_INET if len(tuple_.src) == 4 else AF_INET6
    kind = CTA_TUPLE_REPLY if reply else CTA_TUPLE_ORIG
    body = bytes((family, 0, 0, 0)) + nested(kind, *_encode(tuple_))
    if zone:
        body += attribute(CTA_ZONE, zone.to_bytes(2, "big"))
    try:
        payload = netlink.get(IPCTNL_MSG_CT_GET, body)
    except OSError as error:
        # EINVAL: the protocol's tuple cannot be spelled (an ICMP type without an inverse): such an entry cannot exist.
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return None
        raise
    if payload is None:
        return None
    entry = decode_entry(payload)
    return entry if (entry.reply if reply else entry.orig) == tuple_ else None


def _encode(tuple_: ConntrackTuple) -> tuple[bytes, bytes]:
    if len(tuple_.src) == 4:
        addresses = attribute(CTA_IP_V4_SRC, tuple_.src) + attribute(CTA_IP_V4_DST, tuple_.dst)
    else:
        addresses = attribute(CTA_IP_V6_SRC, tuple_.src) + attribute(CTA_IP_V6_DST, tuple_.dst)
    proto = attribute(CTA_PROTO_NUM, bytes((tuple_.proto,)))
    if tuple_.proto in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        first = CTA_PROTO_ICMP_ID if tuple_.proto == IPPROTO_ICMP else CTA_PROTO_ICMPV6_ID
        proto += attribute(first, tuple_.sport.to_bytes(2, "big"))
        proto += attribute(first + 1, bytes((tuple_.dport >> 8,))) + attribute(first + 2, bytes((tuple_.dport & 0xFF,)))
    elif tuple_.proto in _WITH_PORTS:
        proto += attribute(CTA_PROTO_SRC_PORT, tuple_.sport.to_bytes(2, "big"))
        proto += attribute(CTA_PROTO_DST_PORT, tuple_.dport.to_bytes(2, "big"))
    return nested(CTA_TUPLE_IP, addresses), nested(CTA_TUPLE_PROTO, proto)


def decode_tuple(data: bytes) -> ConntrackTuple:
    """CTA_TUPLE_*; ctnetlink_dump_tuples()."""
    parts = attributes(data)
    addresses, proto = attributes(parts[CTA_TUPLE_IP]), attributes(parts[CTA_TUPLE_PROTO])
    number = proto[CTA_PROTO_NUM][0]
    src = addresses.get(CTA_IP_V4_SRC) or addresses.get(CTA_IP_V6_SRC) or b""
    dst = addresses.get(CTA_IP_V4_DST) or addresses.get(CTA_IP_V6_DST) or b""
    if number in (IPPROTO_ICMP, IPPROTO_ICMPV6):
        first = CTA_PROTO_ICMP_ID if number == IPPROTO_ICMP else CTA_PROTO_ICMPV6_ID
        sport = be(proto.get(first, b""))
        dport = be(proto.get(first + 1, b"")) << 8 | be(proto.get(first + 2, b""))
    else:
        sport, dport = be(proto.get(CTA_PROTO_SRC_PORT, b"")), be(proto.get(CTA_PROTO_DST_PORT, b""))
    return ConntrackTuple(src, dst, number, sport, dport)


def decode_entry(payload: bytes) -> ConntrackEntry:
    """One IPCTNL_MSG_CT_NEW payload; ctnetlink_fill_info()."""
    found = attributes(payload, 4)
    get = found.get
    tcp: dict[int, bytes] = {}
    tags: tuple[bytes, bytes] | None = None
    association = b""
    if (info := get(CTA_PROTOINFO)) is not None:
        of_protocol = attributes(info)
        tcp = attributes(of_protocol.get(CTA_PROTOINFO_TCP, b""))
        sctp = attributes(of_protocol.get(CTA_PROTOINFO_SCTP, b""))
        if CTA_PROTOINFO_SCTP_VTAG_ORIGINAL in sctp and CTA_PROTOINFO_SCTP_VTAG_REPLY in sctp:
            tags = sctp[CTA_PROTOINFO_SCTP_VTAG_ORIGINAL], sctp[CTA_PROTOINFO_SCTP_VTAG_REPLY]
        association = sctp.get(CTA_PROTOINFO_SCTP_STATE, b"")
    helper = attributes(found[CTA_HELP]).get(1) if CTA_HELP in found else None
    context = attributes(found[CTA_SECCTX]).get(1) if CTA_SECCTX in found else None
    orig, reply = _counters(get(CTA_COUNTERS_ORIG)), _counters(get(CTA_COUNTERS_REPLY))
    timeout, master = get(CTA_TIMEOUT), get(CTA_TUPLE_MASTER)
    zone, zone_direction = be(get(CTA_ZONE, b"")), 3
    if CTA_ZONE not in found:  # a zone for one direction stands in that direction's tuple (ctnetlink_dump_zone_id)
        for bit, side in ((1, CTA_TUPLE_ORIG), (2, CTA_TUPLE_REPLY)):
            if (one_way := attributes(found[side]).get(CTA_TUPLE_ZONE)) is not None:
                zone, zone_direction = be(one_way), bit
    return ConntrackEntry(
        orig=decode_tuple(found[CTA_TUPLE_ORIG]),
        reply=decode_tuple(found[CTA_TUPLE_REPLY]),
        status=be(get(CTA_STATUS, b"")),
        tcp_state=tcp[CTA_PROTOINFO_TCP_STATE][0] if CTA_PROTOINFO_TCP_STATE in tcp else None,
        mark=be(get(CTA_MARK, b"")),
        zone=zone,
        timeout=None if timeout is None else be(timeout),
        helper=None if helper is None else text(helper),
        labels=get(CTA_LABELS),
        id=be(get(CTA_ID, b"")),
        secmark=None if context is None else text(context),
        packets_orig=orig[0], bytes_orig=orig[1], packets_reply=reply[0], bytes_reply=reply[1],
        master=None if master is None else decode_tuple(master),
        tcp_flags_orig=tcp.get(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, b"\0")[0],  # struct nf_ct_tcp_flags: flags, mask
        tcp_flags_reply=tcp.get(CTA_PROTOINFO_TCP_FLAGS_REPLY, b"\0")[0],
        sctp_tags=tags,
        zone_direction=zone_direction,
        sctp_state=association[0] if association else None,
    )


def _counters(data: bytes | None) -> tuple[int | None, int | None]:
    if data is None:
        return None, None
    found = attributes(data)  # CTA_COUNTERS_PACKETS 1, CTA_COUNTERS_BYTES 2
    return be(found.get(1, b"")), be(found.get(2, b""))


def read_expectations(netlink: Netlink) -> list[Expectation]:
    """Those of all families."""
    return [decode_expectation(payload) for payload in netlink.dump(IPCTNL_MSG_EXP_GET, bytes(4))]


def decode_expectation(payload: bytes) -> Expectation:
    """One IPCTNL_MSG_EXP_NEW payload; ctnetlink_exp_dump_expect()."""
    found = attributes(payload, 4)
    helper = found.get(CTA_EXPECT_HELP_NAME)
    master = found[CTA_EXPECT_MASTER]
    zone = attributes(master).get(CTA_TUPLE_ZONE) or found.get(CTA_EXPECT_ZONE)
    return Expectation(decode_tuple(found[CTA_EXPECT_TUPLE]), decode_tuple(found[CTA_EXPECT_MASK]), decode_tuple(master),
                       None if zone is None else be(zone), None if helper is None else text(helper),
                       bool(be(found.get(CTA_EXPECT_FLAGS, b"")) & NF_CT_EXPECT_INACTIVE))
