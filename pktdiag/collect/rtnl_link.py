"""Interfaces: RTM_GETLINK (net/core/rtnetlink.c: rtnl_fill_ifinfo)."""

from __future__ import annotations

from errno import EMSGSIZE
from struct import Struct

from pktdiag.collect.netlink import RECEIVE_SIZE, Netlink, Unfiltered, attribute, attributes, nested, text, text_attribute, u32
from pktdiag.model.host import Link, LinkRef
from pktdiag.model.kernel import IFF_ALLMULTI, IFF_LOOPBACK, IFF_PROMISC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pktdiag.collect.nsenter import Door

RTM_GETLINK = 18
_IFINFO = Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_U32 = Struct("=I")

# Without statistics: they are most of a link's message. RTEXT_FILTER_SKIP_STATS
_EXT_MASK = attribute(29, _U32.pack(1 << 3))

(IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_MASTER, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKINFO,
 IFLA_IFALIAS, IFLA_GROUP, IFLA_PROMISCUITY, IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_XDP, IFLA_ALLMULTI) = (
    1, 3, 4, 5, 6, 10, 13, 16, 18, 20, 27, 30, 33, 37, 43, 61)
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_XDP_ATTACHED, IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID = 2, 4, 5, 6, 7
ARPHRD_LOOPBACK = 772


# No ndo_get_iflink: dev_get_iflink() (net/core/dev.c) answers the device's own index, which is sent once it lives in
# another namespace than it was made in. The device below a vxlan stands in IFLA_VXLAN_LINK, counted there.
_WITHOUT_IFLINK = ("vxlan", "geneve", "wireguard", "bareudp")


def read_links(netlink: Netlink) -> dict[int, Link]:
    """Every interface, by ifindex in ascending order."""
    links = [decode_link(payload) for payload in netlink.dump(RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0) + _EXT_MASK)]
    links.sort(key=_ifindex)
    return {link.ifindex: link for link in links}


def read_ports(netlink: Netlink, master: int) -> tuple[Link, ...]:
    """The interfaces with this master (rtnetlink.c: link_master_filtered), by ifindex."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + _EXT_MASK + attribute(IFLA_MASTER, _U32.pack(master))
    links = [decode_link(payload) for payload in netlink.dump(RTM_GETLINK, body)]
    return tuple(sorted((link for link in links if link.master == master), key=_ifindex))


_unknown_kinds: set[str] = set()


def forget() -> None:
    """A driver may have been loaded since."""
    _unknown_kinds.clear()


def read_links_of(door: Door, kinds: tuple[str, ...]) -> tuple[Link, ...]:
    """The interfaces of certain kinds, by ifindex. The kernel filters by a kind it has a driver for (rtnetlink.c:
    link_kind_filtered), and lists every interface where it has none (linkinfo_to_kind_ops), which then is given up: telling of one
    costs it 20 µs."""
    found: list[Link] = []
    netlink = None
    for kind in kinds:
        if kind in _unknown_kinds:
            continue
        if netlink is None:
            netlink = door.spare_route()
            netlink.chunk = _FEW
        wanted = attribute(IFLA_INFO_KIND, kind.encode() + b"\0")
        try:
            payloads = _dump_kind(netlink, wanted)
        except Unfiltered:
            _unknown_kinds.add(kind)
            netlink.close()
            netlink = None
            continue
        found += [link for payload in payloads if (link := decode_link(payload)).kind == kind]
    if netlink is not None:
        netlink.close()
    return tuple(sorted(found, key=_ifindex))


_FEW = 8193
"""Bytes to receive at a time: the kernel fills as much before it can be told that it is of no use (netlink_dump). Odd, so that a
full chunk is not taken for a truncated one."""


def _dump_kind(netlink: Netlink, wanted: bytes) -> list[bytes]:
    """The interfaces of a kind. Raises Unfiltered."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + nested(IFLA_LINKINFO, wanted)
    try:
        # Where a mask is given, the kernel adds up the size of every interface's message first (rtnl_calcit).
        return netlink.dump(RTM_GETLINK, body, fits=_mentions(wanted))
    except OSError as error:
        if error.errno != EMSGSIZE:
            raise
    netlink.chunk = RECEIVE_SIZE  # a thousand other names
    return netlink.dump(RTM_GETLINK, body + _EXT_MASK, fits=_mentions(wanted))


def _mentions(attribute: bytes) -> Callable[[bytes], bool]:
    return lambda payload: attribute in payload


def read_link(netlink: Netlink, ifindex: int) -> Link | None:
    """One interface, or None where there is none of that index."""
    return _read_one(netlink, _IFINFO.pack(0, 0, ifindex, 0, 0) + _EXT_MASK)


def read_link_named(netlink: Netlink, name: str) -> Link | None:
    """One interface by name, or None."""
    if not name or len(name) > 15:  # IFNAMSIZ
        return None
    return _read_one(netlink, _IFINFO.pack(0, 0, 0, 0, 0) + _EXT_MASK + text_attribute(IFLA_IFNAME, name))


def _read_one(netlink: Netlink, body: bytes) -> Link | None:
    import errno

    try:
        payload = netlink.get(RTM_GETLINK, body)
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EINVAL):
            return None
        raise
    return None if payload is None else decode_link(payload)


def _ifindex(link: Link) -> int:
    return link.ifindex


def decode_link(payload: bytes) -> Link:
    """One RTM_NEWLINK payload (struct ifinfomsg and attributes)."""
    _family, type_, ifindex, flags, _change = _IFINFO.unpack_from(payload)
    found = attributes(payload, 16)
    get = found.get
    kind, slave_kind = "", ""
    data: dict[str, Any] = {}
    port: dict[str, Any] = {}
    if (info := get(IFLA_LINKINFO)) is not None:
        parts = attributes(info)
        if (value := parts.get(IFLA_INFO_KIND)) is not None:
            kind = text(value)
            if (value := parts.get(IFLA_INFO_DATA)) is not None:
                from pktdiag.collect.rtnl_linkinfo import decode_data

                data = decode_data(kind, value)
        if (value := parts.get(IFLA_INFO_SLAVE_KIND)) is not None:
            slave_kind = text(value)
            if (value := parts.get(IFLA_INFO_SLAVE_DATA)) is not None:
                from pktdiag.collect.rtnl_linkinfo import decode_slave

                port = decode_slave(slave_kind, value)
    if (value := get(IFLA_PROMISCUITY)) is not None and u32(value):
        flags |= IFF_PROMISC  # dev_get_flags() (net/core/dev.c) leaves out what a tcpdump has asked for
    if (value := get(IFLA_ALLMULTI)) is not None and u32(value):  # what a multicast router has asked for, where the kernel tells it
        flags |= IFF_ALLMULTI
    if not kind and flags & IFF_LOOPBACK:
        kind = "loopback"
    lower, nsid = get(IFLA_LINK), get(IFLA_LINK_NETNSID)
    # IFLA_LINK 0: the other end has no index here (a tunnel without a device of its own).
    link = LinkRef(u32(lower), None if nsid is None else u32(nsid)) if lower is not None and u32(lower) else None
    if kind in _WITHOUT_IFLINK:
        below = data.get("link")
        link = LinkRef(below, None if nsid is None else u32(nsid)) if below else None
    elif link is not None and link.nsid is None and link.ifindex == ifindex:
        link = None
    if link is None and nsid is not None:
        data = {**data, "link_nsid": u32(nsid)}  # a tunnel without a device under it, in another namespace than it was made in
    master, xdp, operstate, carrier = get(IFLA_MASTER), get(IFLA_XDP), get(IFLA_OPERSTATE), get(IFLA_CARRIER)
    return Link(
        ifindex, text(found[IFLA_IFNAME]), kind, flags, u32(found[IFLA_MTU]), get(IFLA_ADDRESS, b""), type_,
        operstate[0] if operstate else 0,
        None if master is None else u32(master),
        link, slave_kind, data, port,
        text(get(IFLA_QDISC, b"")),
        None if xdp is None else _xdp(xdp),
        _optional_u32(get(IFLA_GROUP)),
        bool(carrier and carrier[0]),
        text(get(IFLA_IFALIAS, b"")),
        _optional_u32(get(IFLA_TXQLEN)),
    )


def _optional_u32(value: bytes | None) -> int:
    return 0 if value is None else u32(value)


def _xdp(data: bytes) -> str | None:
    """rtnl_xdp_fill(): attached mode 1 native, 2 generic, 3 offloaded, 4 several (named apart then)."""
    found = attributes(data)
    mode = found.get(IFLA_XDP_ATTACHED, b"\0")[0]
    if not mode:
        return None
    if mode == 4:
        names = ((IFLA_XDP_DRV_PROG_ID, "xdp"), (IFLA_XDP_SKB_PROG_ID, "xdpgeneric"), (IFLA_XDP_HW_PROG_ID, "xdpoffload"))
        return ", ".join(f"{name} id {u32(found[kind])}" for kind, name in names if kind in found)
    name = {1: "xdp", 2: "xdpgeneric", 3: "xdpoffload"}.get(mode, f"xdp mode {mode}")
    return f"{name} id {u32(found[IFLA_XDP_PROG_ID])}" if IFLA_XDP_PROG_ID in found else name


