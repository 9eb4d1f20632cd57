"""Neighbours and forwarding entries: RTM_GETNEIGH (net/core/neighbour.c: neigh_dump_info, neigh_get; net/core/rtnetlink.c:
rtnl_fdb_dump, rtnl_fdb_get). One entry can be asked for since v5.0; a bridge of a thousand ports has thousands of them."""

from __future__ import annotations

from errno import EINVAL, ENOENT, EOPNOTSUPP
from struct import Struct

from pktdiag.collect.netlink import Netlink, attribute, attributes, be, u16, u32
from pktdiag.model.host import FdbEntry, Neighbour
from pktdiag.model.kernel import AF_BRIDGE

RTM_GETNEIGH = 30
NDMSG = Struct("=BxxxiHBB")  # struct ndmsg: family, ifindex, state, flags, type
_U32 = Struct("=I")
_U16 = Struct("=H")
NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PORT, NDA_VNI, NDA_IFINDEX, NDA_MASTER, NDA_SRC_VNI, NDA_FLAGS_EXT = (
    1, 2, 5, 6, 7, 8, 9, 11, 15)
NDA_CACHEINFO, NDA_PROBES = 3, 4
_CACHEINFO = Struct("=III")  # struct nda_cacheinfo: confirmed, used, updated (and refcnt)
NTF_PROXY, NTF_SELF = 0x08, 0x02


def read_neighbours(netlink: Netlink, family: int, ifindex: int) -> tuple[Neighbour, ...]:
    """Cache entries of one interface, then its proxy entries (they have a table and a dump of their own: pneigh)."""
    # neigh_valid_dump_req(): the filter is an attribute; the header's ifindex has to be zero.
    where = attribute(NDA_IFINDEX, _U32.pack(ifindex)) if netlink.strict else b""
    found = []
    for flags in (0, NTF_PROXY):
        for payload in netlink.dump(RTM_GETNEIGH, NDMSG.pack(family, 0, 0, flags, 0) + where):
            answered, index, _state, _flags, _type = NDMSG.unpack_from(payload)
            # A proxy entry may hold for every interface (ifindex 0): pneigh_fill_info().
            if answered == family and (index == ifindex or (flags and index == 0)):
                found.append(_neighbour(payload))
    return tuple(found)


def _neighbour(payload: bytes) -> Neighbour:
    _family, index, state, flags, _type = NDMSG.unpack_from(payload)
    entry = attributes(payload, 12)
    cache, probes = entry.get(NDA_CACHEINFO), entry.get(NDA_PROBES)
    history = (*_CACHEINFO.unpack_from(cache), u32(probes)) if cache and probes else None
    return Neighbour(index, entry.get(NDA_DST, b""), entry.get(NDA_LLADDR), state, bool(flags & NTF_PROXY), flags, history)


def read_neighbour(netlink: Netlink, family: int, ifindex: int, address: bytes, proxy: bool) -> Neighbour | None:
    """The cache entry (neigh_lookup) or the proxy entry (pneigh_lookup: one for every interface counts, too) of one address."""
    try:
        payload = _get(netlink, NDMSG.pack(family, ifindex, 0, NTF_PROXY if proxy else 0, 0) + attribute(NDA_DST, address))
    except UnsupportedError:
        return next((item for item in read_neighbours(netlink, family, ifindex) if item.dst == address and item.proxy == proxy), None)
    return _neighbour(payload) if payload is not None else None


class UnsupportedError(Exception):
    """A kernel before v5.0 lists everything or nothing."""


def _get(netlink: Netlink, body: bytes) -> bytes | None:
    if not netlink.strict:
        raise UnsupportedError
    try:
        return netlink.get(RTM_GETNEIGH, body)
    except OSError as error:
        if error.errno == ENOENT:
            return None
        if error.errno in (EOPNOTSUPP, EINVAL):
            raise UnsupportedError from None
        raise


def read_fdb(netlink: Netlink, ifindex: int, is_bridge: bool) -> tuple[FdbEntry, ...]:
    """Entries of one bridge (br_fdb_dump: they name it as their master), or of one vxlan device (vxlan_fdb_dump)."""
    body = NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)
    if netlink.strict:
        body += attribute(NDA_MASTER if is_bridge else NDA_IFINDEX, _U32.pack(ifindex))
    found = []
    for payload in netlink.dump(RTM_GETNEIGH, body):
        entry = _fdb_entry(payload)
        # A bridge dump also lists what its ports filter on themselves (ndo_dflt_fdb_dump): not forwarding entries.
        if entry.master == ifindex if is_bridge else entry.ifindex == ifindex and entry.master is None:
            found.append(entry)
    return tuple(found)


def _fdb_entry(payload: bytes) -> FdbEntry:
    _family, index, state, flags, _type = NDMSG.unpack_from(payload)
    entry = attributes(payload, 12)
    get = entry.get
    vlan, port, vni, master = get(NDA_VLAN), get(NDA_PORT), get(NDA_VNI), get(NDA_MASTER)
    if vni is None:
        vni = get(NDA_SRC_VNI)
    return FdbEntry(index, get(NDA_LLADDR, b""), u16(vlan) if vlan else 0, state, flags, u32(master) if master else None,
                    get(NDA_DST), u32(vni) if vni else None, be(port) if port else None)


def read_fdb_entry(netlink: Netlink, bridge: int, mac: bytes, vlan: int) -> FdbEntry | None:
    """The one entry of a bridge for an address in a VLAN, 0 for none (br_fdb_get)."""
    body = NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0) + attribute(NDA_LLADDR, mac) + attribute(NDA_MASTER, _U32.pack(bridge))
    try:
        payload = _get(netlink, body + attribute(NDA_VLAN, _U16.pack(vlan)) if vlan else body)
    except UnsupportedError:
        return next((item for item in read_fdb(netlink, bridge, True) if item.mac == mac and item.vlan == vlan), None)
    return _fdb_entry(payload) if payload is not None else None
