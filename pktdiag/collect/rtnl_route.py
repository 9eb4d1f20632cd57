"""Routes of one table: RTM_GETROUTE (net/ipv4/fib_semantics.c: fib_dump_info, net/ipv6/route.c: rt6_fill_node)."""

from __future__ import annotations

import errno
from struct import Struct

from pktdiag.collect.netlink import Netlink, attribute, attributes, u16, u32
from pktdiag.model.host import NextHop, Route
from pktdiag.model.kernel import AF_INET, IPPROTO_TCP, IPPROTO_UDP
from pktdiag.model.packet import Packet

RTM_GETROUTE, RTM_GETNEXTHOP = 26, 106
_RTMSG = Struct("=BBBBBBBBI")  # family, dst_len, src_len, tos, table, protocol, scope, type, flags
_RTNEXTHOP = Struct("=HBBi")  # len, flags, hops, ifindex
_NHMSG = Struct("=BBBBI")  # struct nhmsg: family, scope, protocol, -, flags
_U32 = Struct("=I")
RTM_F_CLONED = 0x200

(RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH, RTA_FLOW, RTA_CACHEINFO, RTA_TABLE,
 RTA_VIA, RTA_PREF, RTA_ENCAP_TYPE, RTA_NH_ID) = 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 15, 18, 20, 21, 30
RTA_MARK, RTA_IP_PROTO, RTA_SPORT, RTA_DPORT = 16, 27, 28, 29
RTM_F_LOOKUP_TABLE = 0x1000
RTAX_MTU = 2
NHA_ID, NHA_GROUP, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY, NHA_ENCAP_TYPE = 1, 2, 4, 5, 6, 7
_RTAX = {1: "lock", 2: "mtu", 3: "window", 4: "rtt", 5: "rttvar", 6: "ssthresh", 7: "cwnd", 8: "advmss", 9: "reordering",
         10: "hoplimit", 11: "initcwnd", 12: "features", 13: "rto_min", 14: "initrwnd", 15: "quickack", 17: "fastopen"}
# enum lwtunnel_encap_types
_ENCAP = {1: "mpls", 2: "ip", 3: "ila", 4: "ip6", 5: "seg6", 6: "bpf", 7: "seg6local", 8: "rpl", 9: "ioam6", 10: "xfrm"}
_ANY = {2: bytes(4), 10: bytes(16)}


def read_routes(netlink: Netlink, family: int, table: int) -> tuple[Route, ...]:
    """The routes of one table as dumped. Empty for a table that does not exist.

    The kernel filters by table (strict checking, Linux 4.20); an older one dumps all of them and we filter.
    """
    body = _RTMSG.pack(family, 0, 0, 0, table if table < 256 else 0, 0, 0, 0, 0)
    if netlink.strict:
        body += attribute(RTA_TABLE, _U32.pack(table))
    try:
        payloads = netlink.dump(RTM_GETROUTE, body)
    except OSError as error:
        if error.errno == errno.ENOENT:  # inet_dump_fib(), inet6_dump_fib(): "FIB table does not exist"
            return ()
        raise
    found = []
    for payload in payloads:
        if payload[0] == family:
            route = decode_route(payload)
            if route.table == table and not route.flags & RTM_F_CLONED:
                found.append(route)
    if any(route.nhid is not None and not route.nexthops for route in found):
        # net.ipv4.nexthop_compat_mode=0: only the id is dumped.
        found = [_with_nexthops(netlink, route) for route in found]
    return tuple(found)


def read_learned(netlink: Netlink, packet: Packet, oif: int, mark: int, own: bool) -> Route | None:
    """One lookup by the kernel (inet_rtm_getroute(), inet6_rtm_getroute()); None where it finds no way. IPv4 has to be told to name the
    table, and takes the protocol for UDP when told nothing."""
    v4, bits = packet.family == AF_INET, len(packet.dst) * 8
    body = _RTMSG.pack(packet.family, bits, bits * own, packet.tos & 0xFC if v4 else 0, 0, 0, 0, 0, RTM_F_LOOKUP_TABLE if v4 else 0)
    body += attribute(RTA_DST, packet.dst) + attribute(RTA_OIF, _U32.pack(oif))
    if own:
        body += attribute(RTA_SRC, packet.src)
    if mark:
        body += attribute(RTA_MARK, _U32.pack(mark))
    if packet.proto in (IPPROTO_TCP, IPPROTO_UDP):
        body += attribute(RTA_IP_PROTO, bytes((packet.proto,))) + attribute(RTA_SPORT, packet.sport.to_bytes(2, "big")) + \
            attribute(RTA_DPORT, packet.dport.to_bytes(2, "big"))
    try:
        payload = netlink.get(RTM_GETROUTE, body)
    except OSError as error:
        if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.ENODEV, errno.EAGAIN):
            return None
        raise
    return decode_route(payload) if payload is not None else None


def decode_route(payload: bytes) -> Route:
    """One RTM_NEWROUTE payload (struct rtmsg and attributes)."""
    family, dstlen, srclen, tos, table, protocol, scope, type_, flags = _RTMSG.unpack_from(payload)
    found = attributes(payload, 12)
    get = found.get
    metrics: dict[str, int] | None = None
    if (value := get(RTA_METRICS)) is not None:
        metrics = {_RTAX[kind]: u32(number) for kind, number in attributes(value).items() if kind in _RTAX}
    nexthops: tuple[NextHop, ...]
    if (value := get(RTA_MULTIPATH)) is not None:
        nexthops = _multipath(value)
    elif RTA_OIF in found or RTA_GATEWAY in found or RTA_VIA in found:
        nexthops = (_nexthop(found, u32(found[RTA_OIF]) if RTA_OIF in found else None, 1, flags & 0xFF),)
    else:
        nexthops = ()
    expires = None
    if family == 10 and (value := get(RTA_CACHEINFO)) is not None:
        ticks = u32(value[8:12])  # rta_cacheinfo.rta_expires, in USER_HZ: 100 per second on every architecture but alpha
        expires = ticks // 100 if ticks and not ticks >> 31 else None
    wide_table, priority, nhid, pref = get(RTA_TABLE), get(RTA_PRIORITY), get(RTA_NH_ID), get(RTA_PREF)
    return Route(
        table if wide_table is None else u32(wide_table), type_, get(RTA_DST) or _ANY.get(family, b""), dstlen, tos,
        0 if priority is None else u32(priority), scope, protocol, get(RTA_PREFSRC), nexthops,
        metrics.get("mtu") if metrics else None, get(RTA_SRC), srclen, metrics, None if nhid is None else u32(nhid), flags,
        pref[0] if pref else 0, expires,
    )


def _nexthop(found: dict[int, bytes], ifindex: int | None, weight: int, flags: int) -> NextHop:
    gateway = found.get(RTA_GATEWAY)
    if gateway is None and (via := found.get(RTA_VIA)) is not None:
        gateway = via[2:]  # struct rtvia: an IPv6 gateway of an IPv4 route
    encap = found.get(RTA_ENCAP_TYPE)
    realm = found.get(RTA_FLOW)
    return NextHop(ifindex, gateway, weight, flags, None if encap is None else _encap(u16(encap)), 0 if realm is None else u32(realm))


def _encap(kind: int) -> str | None:
    return _ENCAP.get(kind, f"encap {kind}") if kind else None


def _multipath(data: bytes) -> tuple[NextHop, ...]:
    found, offset = [], 0
    while offset + 8 <= len(data):
        length, flags, hops, ifindex = _RTNEXTHOP.unpack_from(data, offset)
        if length < 8:
            break
        found.append(_nexthop(attributes(data[offset + 8 : offset + length]), ifindex, hops + 1, flags))
        offset += (length + 3) & ~3
    return tuple(found)


def _with_nexthops(netlink: Netlink, route: Route) -> Route:
    if route.nhid is None or route.nexthops:
        return route
    return route._replace(nexthops=tuple(_nexthop_object(netlink, route.nhid)))


def _nexthop_object(netlink: Netlink, nhid: int, weight: int = 1) -> list[NextHop]:
    """A nexthop object, a group spread out (net/ipv4/nexthop.c: nh_fill_node). Weights of nexthop_grp count from 0."""
    payload = netlink.get(RTM_GETNEXTHOP, _NHMSG.pack(0, 0, 0, 0, 0) + attribute(NHA_ID, _U32.pack(nhid)))
    if payload is None:
        return []
    found = attributes(payload, 8)
    if (group := found.get(NHA_GROUP)) is not None:
        members: list[NextHop] = []
        for offset in range(0, len(group) - 7, 8):  # struct nexthop_grp: id u32, weight u8, weight_high u8, u16
            share = (group[offset + 4] | group[offset + 5] << 8) + 1
            members += _nexthop_object(netlink, u32(group[offset : offset + 4]), share)
        return members
    if NHA_OIF not in found:
        return []  # a blackhole
    encap = found.get(NHA_ENCAP_TYPE)
    flags = _NHMSG.unpack_from(payload)[4] & 0xFF
    return [NextHop(u32(found[NHA_OIF]), found.get(NHA_GATEWAY), weight, flags, None if encap is None else _encap(u16(encap)))]


