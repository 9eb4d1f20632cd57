"""Questions about addresses of a namespace: whose is it, which one would the kernel pick.

Sources: net/ipv4/devinet.c (inet_select_addr, __ip_dev_find), net/ipv4/fib_frontend.c (inet_addr_type_dev_table),
net/ipv6/addrconf.c (ipv6_dev_get_saddr, ipv6_chk_addr).
"""

from __future__ import annotations

from pktdiag.model.host import InterfaceAddress, Link
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    RT_SCOPE_HOST,
    RT_SCOPE_LINK,
    RT_TABLE_LOCAL,
    RTN_BROADCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    RTN_UNICAST,
)
from pktdiag.model.packet import in_prefix
from pktdiag.model.view import NamespaceView

IFA_F_SECONDARY = 0x01
IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE, IFA_F_OPTIMISTIC = 0x08, 0x20, 0x40, 0x04

ANY4, ANY6 = bytes(4), bytes(16)
BROADCAST4 = b"\xff\xff\xff\xff"


def is_any(address: bytes | None) -> bool:
    return not address or not any(address)


def is_multicast(address: bytes) -> bool:
    return address[0] & 0xF0 == 0xE0 if len(address) == 4 else address[0] == 0xFF


def is_loopback(address: bytes) -> bool:
    """127.0.0.0/8 or ::1."""
    return address[0] == 127 if len(address) == 4 else address == b"\0" * 15 + b"\1"


def is_zeronet(address: bytes) -> bool:
    """ipv4_is_zeronet(): exactly 0.0.0.0 since v5.2 (commit 96125bf9985a), 0.0.0.0/8 before."""
    return not any(address)


def is_limited_broadcast(address: bytes) -> bool:
    return address == BROADCAST4


def is_link_local(address: bytes) -> bool:
    """IPv6 fe80::/10."""
    return len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80


def is_local(ns: NamespaceView, address: bytes) -> bool:
    """Whether the namespace owns the address (an RTN_LOCAL entry of the local table covers it): __ip_dev_find, with the
    local table as its second opinion, so that 127.0.0.0/8 counts whole."""
    family = AF_INET if len(address) == 4 else AF_INET6
    if any(item.local == address for item in ns.addresses(family)):
        return True
    return address_type(ns, address) == RTN_LOCAL


def address_type(ns: NamespaceView, address: bytes, ifindex: int = 0) -> int:
    """inet_addr_type_table() on the local table: RTN_*; with ``ifindex`` only what belongs to that device counts as its
    own type. Zero and limited broadcast are RTN_BROADCAST for IPv4."""
    if len(address) == 4 and (is_zeronet(address) or is_limited_broadcast(address)):
        return RTN_BROADCAST
    if is_multicast(address):
        return RTN_MULTICAST
    family = AF_INET if len(address) == 4 else AF_INET6
    best = None
    for route in ns.routes(family, RT_TABLE_LOCAL):
        if in_prefix(address, route.dst, route.prefixlen) and (best is None or route.prefixlen > best.prefixlen):
            best = route
    if best is None:
        return RTN_UNICAST
    if ifindex and not any(hop.ifindex == ifindex for hop in best.nexthops):
        return RTN_UNICAST
    return best.type


def owner(ns: NamespaceView, address: bytes) -> InterfaceAddress | None:
    """The interface address record holding exactly this address."""
    family = AF_INET if len(address) == 4 else AF_INET6
    return next((item for item in ns.addresses(family) if item.local == address), None)


def conf(ns: NamespaceView, family: int, device: str, key: str) -> int:
    """One per-device setting of net/ipv4/conf or net/ipv6/conf; 0 where there is none."""
    base = "ipv4" if family == AF_INET else "ipv6"
    try:
        return int(ns.sysctl(f"net/{base}/conf/{device}/{key}") or 0)
    except ValueError:
        return 0


def conf_max(ns: NamespaceView, device: str, key: str) -> int:
    """IN_DEV_MAXCONF: the larger of conf.all and conf.DEVICE (include/linux/inetdevice.h)."""
    return max(conf(ns, AF_INET, device, key), conf(ns, AF_INET, "all", key))


def conf_or(ns: NamespaceView, device: str, key: str) -> bool:
    """IN_DEV_ORCONF: either of them."""
    return bool(conf(ns, AF_INET, device, key) or conf(ns, AF_INET, "all", key))


def conf_and(ns: NamespaceView, device: str, key: str) -> bool:
    """IN_DEV_ANDCONF: both of them."""
    return bool(conf(ns, AF_INET, device, key) and conf(ns, AF_INET, "all", key))


def select_address(ns: NamespaceView, device: Link | None, dst: bytes | None, scope: int) -> bytes:
    """inet_select_addr(): the primary IPv4 address the kernel would send from; zeroes when there is none."""
    if device is not None:
        limit = RT_SCOPE_LINK if conf_or(ns, device.name, "route_localnet") else RT_SCOPE_HOST
        first: bytes | None = None
        for item in ns.addresses(AF_INET):
            if item.ifindex != device.ifindex or item.flags & IFA_F_SECONDARY or min(item.scope, limit) > scope:
                continue
            if dst is None or is_any(dst) or in_prefix(dst, item.peer or item.local, item.prefixlen):
                return item.local
            first = first or item.local
        if first:
            return first
    for item in sorted(ns.addresses(AF_INET), key=lambda item: item.ifindex):
        if item.scope != RT_SCOPE_LINK and item.scope <= scope and not item.flags & IFA_F_SECONDARY:
            return item.local
    return ANY4


def select_address6(ns: NamespaceView, device: Link | None, dst: bytes) -> bytes:
    """ipv6_dev_get_saddr(): RFC 6724 rules 1 to 8 as far as they separate candidates (no home addresses, no prefsrc
    labels from userspace: the default policy table)."""
    candidates = []
    # A multicast or link-local destination, ::1 among them (__ipv6_addr_type), is spoken to from its own link only.
    only_here = device is not None and (is_link_local(dst) or is_multicast(dst) or is_loopback(dst))
    for item in ns.addresses(AF_INET6):
        if item.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) and not item.flags & IFA_F_OPTIMISTIC:
            continue
        if is_multicast(item.local) or is_any(item.local):
            continue
        same_device = device is not None and item.ifindex == device.ifindex
        if only_here and not same_device:
            continue
        candidates.append((item, same_device))
    if not candidates:
        return ANY6
    target_scope = _scope6(dst)

    def score(entry: tuple[InterfaceAddress, bool]) -> tuple[int, int, int, int, int, int]:
        item, same_device = entry
        scope = _scope6(item.local)
        # Rule 2: a scope at least the destination's, the smallest such; else the largest.
        appropriate = -scope + 64 if scope >= target_scope else scope - 64
        return (int(item.local == dst), appropriate, int(not item.flags & IFA_F_DEPRECATED), int(same_device),
                int(_label6(item.local) == _label6(dst)), common_prefix(item.local, dst, item.prefixlen))

    return max(candidates, key=score)[0].local


def _scope6(address: bytes) -> int:
    if is_multicast(address):
        return address[1] & 0x0F
    if is_link_local(address) or is_loopback(address):
        return 2
    if address[0] == 0xFE and address[1] & 0xC0 == 0xC0:
        return 5
    return 14


def _label6(address: bytes) -> int:
    """The default policy table of RFC 6724 as in net/ipv6/addrlabel.c ip6addrlbl_init_table."""
    if is_loopback(address):
        return 0
    if address[:12] == bytes(10) + b"\xff\xff":
        return 4
    if not any(address[:12]):
        return 3
    if address[0] & 0xFE == 0xFC:
        return 5
    if address[:2] == b"\x20\x02":
        return 2
    if address[:4] == b"\x20\x01\0\0":
        return 6
    return 1


def common_prefix(left: bytes, right: bytes, limit: int) -> int:
    """ipv6_addr_diff(), capped at the candidate's own prefix length as the kernel does."""
    difference = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return min(len(left) * 8 - difference.bit_length(), limit)
