"""Neighbours and forwarding entries: RTM_GETNEIGH (net/core/neighbour.c, net/core/rtnetlink.c: rtnl_fdb_dump)."""

from __future__ import annotations

from struct import Struct

from pktdiag.collect.netlink import Netlink, attribute, attributes, be, u16, u32
from pktdiag.model.host import FdbEntry, Neighbour
from pktdiag.model.kernel import AF_BRIDGE

RTM_GETNEIGH = 30
_NDMSG = Struct("=BxxxiHBB")  # struct ndmsg: family, ifindex, state, flags, type
_U32 = Struct("=I")
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
        for payload in netlink.dump(RTM_GETNEIGH, _NDMSG.pack(family, 0, 0, flags, 0) + where):
            answered, index, state, entry_flags, _type = _NDMSG.unpack_from(payload)
            if answered != family:
                continue
            # A proxy entry may hold for every interface (ifindex 0): pneigh_fill_info().
            if index != ifindex and not (flags and index == 0):
                continue
            entry = attributes(payload, 12)
            cache, probes = entry.get(NDA_CACHEINFO), entry.get(NDA_PROBES)
            history = (*_CACHEINFO.unpack_from(cache), u32(probes)) if cache and probes else None
            found.append(Neighbour(index, entry.get(NDA_DST, b""), entry.get(NDA_LLADDR), state,
                                   bool(entry_flags & NTF_PROXY), entry_flags, history))
    return tuple(found)


def read_fdb(netlink: Netlink, ifindex: int, is_bridge: bool) -> tuple[FdbEntry, ...]:
    """Entries of one bridge (br_fdb_dump: they name it as their master), or of one vxlan device (vxlan_fdb_dump)."""
    body = _NDMSG.pack(AF_BRIDGE, 0, 0, 0, 0)
    if netlink.strict:
        body += attribute(NDA_MASTER if is_bridge else NDA_IFINDEX, _U32.pack(ifindex))
    found = []
    for payload in netlink.dump(RTM_GETNEIGH, body):
        _family, index, state, flags, _type = _NDMSG.unpack_from(payload)
        entry = attributes(payload, 12)
        get = entry.get
        master = u32(entry[NDA_MASTER]) if NDA_MASTER in entry else None
        # A bridge dump also lists what its ports filter on themselves (ndo_dflt_fdb_dump): not forwarding entries.
        if master != ifindex if is_bridge else index != ifindex or master is not None:
            continue
        vlan, port, vni = get(NDA_VLAN), get(NDA_PORT), get(NDA_VNI)
        if vni is None:
            vni = get(NDA_SRC_VNI)
        found.append(FdbEntry(
            index, get(NDA_LLADDR, b""), u16(vlan) if vlan else 0, state, flags, master, get(NDA_DST),
            u32(vni) if vni else None, be(port) if port else None,
        ))
    return tuple(found)
