"""Addresses: RTM_GETADDR (net/ipv4/devinet.c: inet_fill_ifaddr, net/ipv6/addrconf.c: inet6_fill_ifaddr)."""

from __future__ import annotations

from struct import Struct

from pktdiag.collect.netlink import Netlink, attributes, text, u32
from pktdiag.model.host import InterfaceAddress

RTM_GETADDR = 22
_IFADDR = Struct("=BBBBI")  # struct ifaddrmsg: family, prefixlen, flags, scope, index
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 3, 4, 8


def read_addresses(netlink: Netlink, family: int) -> tuple[InterfaceAddress, ...]:
    """All addresses of one family, as dumped."""
    found = []
    for payload in netlink.dump(RTM_GETADDR, _IFADDR.pack(family, 0, 0, 0, 0)):
        if payload[0] == family:  # a kernel without IPv6 answers for AF_UNSPEC
            found.append(_decode(payload))
    return tuple(found)


def _decode(payload: bytes) -> InterfaceAddress:
    _family, prefixlen, flags, scope, ifindex = _IFADDR.unpack_from(payload)
    get = attributes(payload, 8).get
    address, local, wide_flags = get(IFA_ADDRESS), get(IFA_LOCAL), get(IFA_FLAGS)
    mine = local if local is not None else address or b""
    return InterfaceAddress(
        ifindex, mine, prefixlen, address if address is not None and address != mine else None, get(IFA_BROADCAST), scope,
        flags if wide_flags is None else u32(wide_flags), text(get(IFA_LABEL, b"")),
    )
