"""How a namespace stands to an ARP request, read in one visit: a flooded one comes to a thousand of them.

Sources: net/ipv4/arp.c (arp_process, arp_fwd_proxy, arp_fwd_pvlan), net/ipv4/devinet.c (inet_netconf_dump_devconf), net/ipv4/
fib_frontend.c (ip_valid_fib_dump_req: routes can be asked for by type), net/core/neighbour.c (neigh_get, pneigh_lookup).
"""

from __future__ import annotations

import os
from struct import Struct

from pktdiag.collect.netlink import NETLINK_ROUTE, Netlink, attribute, first_of
from pktdiag.collect.nsenter import Door
from pktdiag.collect.rtnl_neigh import NDA_IFINDEX, NDA_LLADDR, NDMSG, RTM_GETNEIGH, read_neighbour
from pktdiag.collect.rtnl_route import RTA_DST, RTM_GETROUTE
from pktdiag.model.host import ArpSide
from pktdiag.model.kernel import AF_BRIDGE, AF_INET, NTF_SELF, RTN_LOCAL

RTM_GETNETCONF = 82
NETCONFA_IFINDEX, NETCONFA_FORWARDING, NETCONFA_PROXY_NEIGH = 1, 2, 5
LOOPBACK, ALL = 1, -1
_S32 = Struct("=i")
_U32 = Struct("=I")
_UNKNOWN = b"\xff" * 4
_RTMSG = Struct("=BBBBBBBBI")


def read(door: Door, ifindex: int, target: bytes, sender: bytes) -> ArpSide | None:
    """None on a kernel that cannot be asked so (before Linux 4.20). Raises OSError."""
    with door.inside():
        netlink = Netlink(NETLINK_ROUTE)
        try:
            return _read(netlink, ifindex, target, sender) if netlink.strict else None
        finally:
            netlink.close()


def _read(netlink: Netlink, ifindex: int, target: bytes, sender: bytes) -> ArpSide:
    conf = {_S32.unpack(first_of(NETCONFA_IFINDEX, payload, 4) or _UNKNOWN)[0]: payload
            for payload in netlink.dump(RTM_GETNETCONF, bytes((AF_INET, 0, 0, 0)))}

    def on(index: int, kind: int) -> bool:
        return any(first_of(kind, conf[index], 4) or _UNKNOWN) if index in conf else True

    # Devices of an MTU below 68 are not among them; they have no ARP, and nothing is stacked on this one either.
    alone = {index for index in conf if index > LOOPBACK} == {ifindex} and not _stacked(netlink, ifindex)
    local = []
    for payload in netlink.dump(RTM_GETROUTE, _RTMSG.pack(AF_INET, 0, 0, 0, 0, 0, 0, RTN_LOCAL, 0)):
        if payload[0] == AF_INET and payload[7] == RTN_LOCAL:
            local.append((first_of(RTA_DST, payload, 12) or bytes(4), payload[1]))
    proxies = on(ifindex, NETCONFA_FORWARDING) and (
        on(ifindex, NETCONFA_PROXY_NEIGH) or on(ALL, NETCONFA_PROXY_NEIGH) or _pvlan(ifindex)
        or read_neighbour(netlink, AF_INET, ifindex, target, True) is not None)
    return ArpSide(alone, tuple(local), proxies, read_neighbour(netlink, AF_INET, ifindex, sender, False))


def _stacked(netlink: Netlink, ifindex: int) -> bool:
    """Whether a macvlan or the like, in whatever namespace, registered its address with the interface (dev_uc_add)."""
    for payload in netlink.dump(RTM_GETNEIGH, NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0) + attribute(NDA_IFINDEX, _U32.pack(ifindex))):
        mac = first_of(NDA_LLADDR, payload, 12)
        if mac and not mac[0] & 1 and payload[10] & NTF_SELF:
            return True
    return False


def _pvlan(ifindex: int) -> bool:
    """proxy_arp_pvlan, which no netlink message shows for all interfaces."""
    from _socket import if_indextoname

    for name in ("all", if_indextoname(ifindex)):
        descriptor = os.open(f"/proc/sys/net/ipv4/conf/{name}/proxy_arp_pvlan", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.read(descriptor, 16).strip() != b"0":
                return True
        finally:
            os.close(descriptor)
    return False
