"""What a bridge knows beyond its forwarding entries: VLANs (net/bridge/br_netlink.c: br_fill_ifvlaninfo) and multicast
groups (net/bridge/br_mdb.c: br_mdb_fill_info)."""

from __future__ import annotations

import errno
from struct import Struct

from pktdiag.collect.netlink import Netlink, attribute, attribute_list, attributes, u32
from pktdiag.model.host import BridgeVlan, FdbEntry
from pktdiag.model.kernel import AF_BRIDGE, ETH_P_IP, ETH_P_IPV6

RTM_GETLINK, RTM_GETMDB = 18, 86
_IFINFO = Struct("=BxHiII")
_VLAN_INFO = Struct("=HH")  # struct bridge_vlan_info: flags, vid
_U32 = Struct("=I")
IFLA_MASTER, IFLA_AF_SPEC, IFLA_EXT_MASK, IFLA_BRIDGE_VLAN_INFO = 10, 26, 29, 2
RTEXT_FILTER_BRVLAN = 2
BRIDGE_VLAN_INFO_PVID, BRIDGE_VLAN_INFO_UNTAGGED = 2, 4

_PORT_MSG = Struct("=BxxxI")  # struct br_port_msg: family, ifindex
MDBA_MDB, MDBA_ROUTER = 1, 2
_MDB_ENTRY = Struct("=IBBH16s2s2x")  # struct br_mdb_entry: ifindex, state, flags, vid, address, protocol
NTF_ROUTER, NUD_PERMANENT = 0x80, 0x80


def read_vlans(netlink: Netlink) -> dict[int, tuple[BridgeVlan, ...]]:
    """VLANs of every bridge of the namespace: its ports' and its own, by the bridge's ifindex."""
    body = _IFINFO.pack(AF_BRIDGE, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, _U32.pack(RTEXT_FILTER_BRVLAN))
    found: dict[int, tuple[BridgeVlan, ...]] = {}
    for payload in netlink.dump(RTM_GETLINK, body):
        ifindex = _IFINFO.unpack_from(payload)[2]
        parts = attributes(payload, 16)
        spec = parts.get(IFLA_AF_SPEC)
        if spec is None:
            continue
        vlans = []
        for kind, value in attribute_list(spec):
            if kind == IFLA_BRIDGE_VLAN_INFO:
                flags, vid = _VLAN_INFO.unpack_from(value)
                vlans.append(BridgeVlan(ifindex, vid, bool(flags & BRIDGE_VLAN_INFO_PVID), bool(flags & BRIDGE_VLAN_INFO_UNTAGGED)))
        bridge = u32(parts[IFLA_MASTER]) if IFLA_MASTER in parts else ifindex
        found[bridge] = found.get(bridge, ()) + tuple(vlans)
    return found


def read_mdb(netlink: Netlink, bridge: int) -> tuple[FdbEntry, ...]:
    """Multicast groups of one bridge: ``dst`` the group (``mac`` instead for a layer-2 group), ``ifindex`` the port that
    joined (the bridge itself: the host). A port behind which a multicast router is has NTF_ROUTER and no group."""
    try:
        # rtnl_validate_mdb_dump_req() refuses to filter by bridge.
        payloads = netlink.dump(RTM_GETMDB, _PORT_MSG.pack(AF_BRIDGE, 0))
    except OSError as error:
        # rtnl_mdb_dump(): a kernel without CONFIG_BRIDGE_IGMP_SNOOPING, or no bridge.
        if error.errno in (errno.EOPNOTSUPP, errno.ENODEV):
            return ()
        raise
    found = []
    for payload in payloads:
        if _PORT_MSG.unpack_from(payload)[1] != bridge:
            continue
        parts = attributes(payload, 8)
        for _, entry in attribute_list(parts.get(MDBA_MDB, b"")):
            for kind, info in attribute_list(entry):
                if kind == 1:  # MDBA_MDB_ENTRY_INFO
                    found.append(_group(info, bridge))
        for kind, port in attribute_list(parts.get(MDBA_ROUTER, b"")):
            if kind == 1:  # MDBA_ROUTER_PORT
                found.append(FdbEntry(u32(port), b"", 0, 0, NTF_ROUTER, bridge, None, None, None))
    return tuple(found)


def _group(info: bytes, bridge: int) -> FdbEntry:
    ifindex, state, flags, vid, address, protocol = _MDB_ENTRY.unpack_from(info)
    ethertype = int.from_bytes(protocol, "big")
    dst = address[:4] if ethertype == ETH_P_IP else address if ethertype == ETH_P_IPV6 else None
    return FdbEntry(ifindex, b"" if dst is not None else address[:6], vid, NUD_PERMANENT if state & 1 else 0, flags, bridge,
                    dst, None, None)
