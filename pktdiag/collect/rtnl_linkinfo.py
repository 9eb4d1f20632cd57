"""What each kind of device says about itself: IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA.

Keys are those of ``ip -d -j link``; values stay as the kernel has them: ints, packed addresses (bytes, family by
length), MAC bytes, times in the kernel's unit (1/100 s for a bridge). Layout per kind: include/uapi/linux/if_link.h,
if_tunnel.h; a kind that is not listed yields {}.
"""

from __future__ import annotations

from struct import Struct
from sys import byteorder

from pktdiag.collect.netlink import attribute_list, be
from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NUM, BE, RAW, FLAG = 0, 1, 2, 3

Layout = dict[int, tuple[str, int]]


def _layout(*names: str | tuple[str, int] | None) -> Layout:
    """Attributes numbered from 1; None: not of interest."""
    return {
        number: (name, NUM) if isinstance(name, str) else name
        for number, name in enumerate(names, 1) if name is not None
    }


_BRIDGE = _layout(
    "forward_delay", "hello_time", "max_age", "ageing_time", "stp_state", "priority", "vlan_filtering",
    ("vlan_protocol", BE), "group_fwd_mask", ("root_id", RAW), ("bridge_id", RAW), "root_port", "root_path_cost",
    "topology_change", "topology_change_detected", None, None, None, None, ("group_addr", RAW), None, "mcast_router",
    "mcast_snooping", "mcast_query_use_ifaddr", "mcast_querier", None, "mcast_hash_max", None, None, None, None, None,
    None, None, None, "nf_call_iptables", "nf_call_ip6tables", "nf_call_arptables", "vlan_default_pvid", None,
    "vlan_stats_enabled", "mcast_stats_enabled", "mcast_igmp_version", "mcast_mld_version", "vlan_stats_per_port",
    ("multi_boolopt", RAW), None, "fdb_n_learned", "fdb_max_learned",
)
_BRIDGE_PORT = _layout(
    "state", "priority", "cost", "hairpin", "guard", "root_block", "fastleave", "learning", "flood", "proxy_arp", None,
    "proxy_arp_wifi", ("root_id", RAW), ("bridge_id", RAW), "designated_port", "designated_cost", "id", "no",
    None, None, None, None, None, None, "multicast_router", None, "mcast_flood", "mcast_to_unicast", "vlan_tunnel",
    "bcast_flood", "group_fwd_mask", "neigh_suppress", "isolated", "backup_port", None, None, None, None, "locked", "mab",
    "mcast_n_groups", "mcast_max_groups", "neigh_vlan_suppress", "backup_nhid",
)
_VXLAN = _layout(
    "id", ("group", RAW), "link", ("local", RAW), "ttl", "tos", "learning", "ageing", "limit", ("port_range", RAW), "proxy",
    "rsc", "l2miss", "l3miss", ("port", BE), ("group", RAW), ("local", RAW), "udp_csum", "udp_zero_csum6_tx",
    "udp_zero_csum6_rx", "remcsum_tx", "remcsum_rx", ("gbp", FLAG), ("remcsum_nopartial", FLAG), "external", ("label", BE),
    ("gpe", FLAG), "ttl_inherit", "df", "vnifilter", "localbypass", "label_policy",
)
_GENEVE = _layout(
    "id", ("remote", RAW), "ttl", "tos", ("port", BE), ("external", FLAG), ("remote", RAW), "udp_csum",
    "udp_zero_csum6_tx", "udp_zero_csum6_rx", ("label", BE), "ttl_inherit", "df", ("inner_proto_inherit", FLAG),
)
_GRE = _layout(
    "link", ("iflags", BE), ("oflags", BE), ("ikey", BE), ("okey", BE), ("local", RAW), ("remote", RAW), "ttl", "tos",
    "pmtudisc", "encap_limit", ("flowinfo", BE), "flags", "encap_type", "encap_flags", ("encap_sport", BE),
    ("encap_dport", BE), ("external", FLAG), "ignore_df", "fwmark", "erspan_index", "erspan_ver", "erspan_dir", "erspan_hwid",
)
_IPTUN = _layout(
    "link", ("local", RAW), ("remote", RAW), "ttl", "tos", "encap_limit", ("flowinfo", BE), "flags", "proto", "pmtudisc",
    ("6rd_prefix", RAW), ("6rd_relay_prefix", RAW), "6rd_prefixlen", "6rd_relay_prefixlen", "encap_type", "encap_flags",
    ("encap_sport", BE), ("encap_dport", BE), ("external", FLAG), "fwmark",
)
_VTI = _layout("link", ("ikey", BE), ("okey", BE), ("local", RAW), ("remote", RAW), "fwmark")
_BOND = _layout(
    "mode", "active_slave", "miimon", "updelay", "downdelay", "use_carrier", "arp_interval", None, "arp_validate",
    "arp_all_targets", "primary", "primary_reselect", "fail_over_mac", "xmit_hash_policy", "resend_igmp", "num_peer_notif",
    "all_slaves_active", "min_links", "lp_interval", "packets_per_slave", "ad_lacp_rate", "ad_select",
)
_MACVLAN = _layout("mode", "flags", None, None, ("macaddr_data", RAW), "macaddr_count", "bc_queue_len", None, "bc_cutoff")

_KINDS: dict[str, Layout] = {
    "bridge": _BRIDGE, "vxlan": _VXLAN, "geneve": _GENEVE, "bond": _BOND, "macvlan": _MACVLAN, "macvtap": _MACVLAN,
    "vlan": _layout("id", ("flags", RAW), None, None, ("protocol", BE)),
    "ipvlan": _layout("mode", "flags"), "ipvtap": _layout("mode", "flags"),
    "vrf": _layout("table"),
    "tun": _layout("owner", "group", "type", "pi", "vnet_hdr", "persist", "multi_queue", "num_queues", "num_disabled_queues"),
    "xfrm": _layout("link", "if_id", ("external", FLAG)),
    "netkit": _layout(None, "primary", "policy", "peer_policy", "mode", "scrub", "peer_scrub"),
    "vti": _VTI, "vti6": _VTI, "ipip": _IPTUN, "sit": _IPTUN, "ip6tnl": _IPTUN,
    "gre": _GRE, "gretap": _GRE, "ip6gre": _GRE, "ip6gretap": _GRE, "erspan": _GRE, "ip6erspan": _GRE,
}
_SLAVES: dict[str, Layout] = {
    "bridge": _BRIDGE_PORT,
    "bond": _layout("state", "mii_status", "link_failure_count", ("perm_hwaddr", RAW), "queue_id", "ad_aggregator_id"),
    "vrf": _layout("table"),
}

# Enumerations that are bit values or have gaps elsewhere: given by name, as ``ip`` prints them.
_NAMES: dict[tuple[str, str], dict[int, str]] = {
    ("macvlan", "mode"): {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"},
    ("ipvlan", "mode"): {0: "l2", 1: "l3", 2: "l3s"},
    ("netkit", "mode"): {0: "l2", 1: "l3"},
    ("bond", "mode"): dict(enumerate(
        ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"))),
    ("bond", "xmit_hash_policy"): dict(enumerate(("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"))),
    ("tun", "type"): {1: "tun", 2: "tap"},
}


def decode_data(kind: str, data: bytes) -> dict[str, Any]:
    """IFLA_INFO_DATA of one device kind."""
    layout = _KINDS.get(kind)
    if layout is None:
        return {}
    values = _decode(layout, data)
    family = {"macvtap": "macvlan", "ipvtap": "ipvlan"}.get(kind, kind)
    for key in ("mode", "type", "xmit_hash_policy"):
        names = _NAMES.get((family, key))
        if names is not None and key in values:
            values[key] = names.get(values[key], str(values[key]))
    if kind == "vlan" and "flags" in values:
        values["flags"] = int.from_bytes(values["flags"][:4], byteorder)  # struct ifla_vlan_flags: flags, mask
    if kind == "vxlan" and "port_range" in values:
        raw = values["port_range"]
        values["port_range"] = (be(raw[:2]), be(raw[2:4]))
    if "macaddr_data" in values:
        values["macaddr_data"] = tuple(mac for _, mac in attribute_list(values["macaddr_data"]))
    return values


def decode_slave(kind: str, data: bytes) -> dict[str, Any]:
    """IFLA_INFO_SLAVE_DATA: a bridge port carries "unicast_flood" beside ip's name for it, "flood"."""
    layout = _SLAVES.get(kind)
    if layout is None:
        return {}
    values = _decode(layout, data)
    if kind == "bridge":
        values["unicast_flood"] = values.get("flood", 1)
        values["proxyarp"] = values.get("proxy_arp", 0)
    return values


def _decode(layout: Layout, data: bytes) -> dict[str, Any]:
    """In one pass: a bridge port has forty attributes. A host may have a thousand ports, and they look alike."""
    key = id(layout), len(data)
    shape = _shapes.get(key, 0)
    if isinstance(shape, _Shape):
        if shape.heads(data) == shape.expected:
            return dict(zip(shape.names, shape.values(data)))
    elif shape == _WORTH_A_SHAPE:
        _shapes[key] = _shape(layout, data) or -1
    elif shape >= 0:
        _shapes[key] = shape + 1
    values: dict[str, Any] = {}
    known, convert, offset, end = layout.get, int.from_bytes, 0, len(data) - 3
    while offset < end:
        length, number = _attribute_at(data, offset)
        if length < 4:
            break
        found = known(number & 0x3FFF)
        if found is not None:
            name, form = found
            if form == NUM:
                values[name] = convert(data[offset + 4 : offset + length], byteorder)
            elif form == BE:
                values[name] = convert(data[offset + 4 : offset + length], "big")
            else:
                values[name] = True if form == FLAG else data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return values


_attribute_at = Struct("=HH").unpack_from


class _Shape(NamedTuple):
    """Which attributes follow each other in a message of one length."""

    heads: Callable[[bytes], tuple[int, ...]]
    expected: tuple[int, ...]
    values: Callable[[bytes], tuple[Any, ...]]
    names: tuple[str, ...]


_shapes: dict[tuple[int, int], int | _Shape] = {}
"""By layout and length: how often one has been seen; -1 if it is none that two ``unpack`` can read."""
_WORTH_A_SHAPE = 8
_NUMBER = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _shape(layout: Layout, data: bytes) -> _Shape | None:
    heads, values, names, offset = "=", "=", [], 0
    while offset < len(data):
        length, number = _attribute_at(data, offset) if offset + 4 <= len(data) else (0, 0)
        if length < 4 or offset + (length + 3 & ~3) > len(data):
            return None
        size, padding = length - 4, "x" * (-length & 3)
        name, form = layout.get(number & 0x3FFF, ("", RAW))
        heads += f"I{size}x{padding}"
        if not name:
            values += f"4x{size}x{padding}"
        elif form == RAW or (form == NUM and size in _NUMBER):
            values += f"4x{_NUMBER[size] if form == NUM else f'{size}s'}{padding}"
            names.append(name)
        else:
            return None
        offset += length + 3 & ~3
    first, second = Struct(heads), Struct(values)
    return _Shape(first.unpack, first.unpack(data), second.unpack, tuple(names)) if len(set(names)) == len(names) else None
