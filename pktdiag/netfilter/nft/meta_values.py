"""The value of each ``meta`` key. net/netfilter/nft_meta.c: nft_meta_get_eval and its helpers.

Words are in host byte order, protocols in network order, names NUL-padded to 16 bytes, as registers hold them.
"""

from __future__ import annotations

import sys

from pktdiag.model.host import Link, Socket
from pktdiag.model.kernel import (
    ETH_P_IP,
    ETH_P_IPV6,
    IPPROTO_TCP,
    NF_INET_LOCAL_IN,
    NF_INET_LOCAL_OUT,
    NF_INET_POST_ROUTING,
    NF_INET_PRE_ROUTING,
    NF_NETDEV_EGRESS,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    NFPROTO_NETDEV,
    PACKET_BROADCAST,
    PACKET_LOOPBACK,
    PACKET_MULTICAST,
    TCP_CLOSE,
    TCP_LISTEN,
)
from pktdiag.netfilter.context import OWNER_ASSUMED, Unknown
from pktdiag.netfilter.nft.registers import Var
from pktdiag.netfilter.nft.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = sys.byteorder
IFNAMSIZ = 16


class Missing:
    """The kernel has no such value for this packet: the rule breaks."""


MISSING = Missing()
Value = bytes | Missing | tuple[int, Var]


def word(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, ORDER)


def name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")[:IFNAMSIZ].ljust(IFNAMSIZ, b"\0")


def meta_value(key: int, run: Run) -> Value:
    """The value a register gets, MISSING where the kernel breaks the rule, or (length, why) when nobody can know."""
    getter = _GETTERS.get(key)
    if getter is None:
        return 16, Var(f"meta key {key}, which pktdiag does not model,", ("meta", key, id(run.skb)))
    return getter(run)


def _length(run: Run) -> Value:
    """skb->len: without a link header, except on netdev egress where skb->data is still the MAC header."""
    length = run.skb.packet.length
    if run.skb.arp is not None:
        length = 28
    if run.ctx.pf == NFPROTO_NETDEV and run.ctx.hook == NF_NETDEV_EGRESS:
        length += 14
    if "length" in run.skb.packet.unknown:
        return 4, Var("the packet's length", ("length", run.skb.packet.src))
    return word(length)


def _protocol(run: Run) -> Value:
    return run.skb.ethertype.to_bytes(2, "big")


def _l4proto(run: Run) -> Value:
    return bytes((run.tprot,)) if run.has_l4 else MISSING


def _mark(run: Run) -> Value:
    hidden = run.skb.extra.get("unknown mark")
    if hidden:
        return 4, hidden[1]  # type: ignore[index]
    return word(run.skb.mark)


def _ifindex(link: Link | None) -> bytes:
    return word(link.ifindex if link else 0)


def _ifname(link: Link | None) -> bytes:
    return name_bytes(link.name if link else "")


def _iftype(link: Link | None) -> Value:
    return link.type.to_bytes(2, ORDER) if link else MISSING


def _iftype_of_packet(run: Run) -> Value:
    """NFT_META_IFTYPE: of skb->dev since 5.16 (commit 42df6e1d221d), which is the outgoing device from ip_output() and __br_forward() on;
    a packet of this host's own has none in LOCAL_OUT. nft puts it in front of ``ether``."""
    ctx = run.ctx
    if run.pf in (NFPROTO_IPV4, NFPROTO_IPV6):
        if ctx.hook == NF_INET_LOCAL_OUT:
            return MISSING
        return _iftype(ctx.outdev if ctx.hook == NF_INET_POST_ROUTING else ctx.indev)
    return _iftype(ctx.outdev or ctx.indev)


def _ifgroup(link: Link | None) -> Value:
    return word(link.group) if link else MISSING


def _ifkind(link: Link | None) -> Value:
    """net_device->rtnl_link_ops->kind: devices that no rtnl_link made (lo, hardware) have none."""
    return name_bytes(link.kind) if link and link.kind not in ("", "loopback") else MISSING


def _socket_owner(run: Run) -> Value:
    """nft_meta_get_eval_skugid: only a full socket of this namespace with a file behind it."""
    sock = run.skb.sock if run.skb.sock_ns in ("", run.ns.id) else None
    sock = sock or _demuxed(run)
    if sock is not None and "owner assumed" in run.skb.extra:
        run.services.assume(OWNER_ASSUMED)
    return MISSING if sock is None else word(sock.uid)


def _socket_group(run: Run) -> Value:
    mine = run.skb.sock is not None and run.skb.sock_ns in ("", run.ns.id)
    if not mine and _demuxed(run) is None:
        return MISSING
    gid = run.skb.extra.get("gid") if mine else None
    if isinstance(gid, int):
        if "owner assumed" in run.skb.extra:
            run.services.assume(OWNER_ASSUMED)
        return word(gid)
    return 4, Var("the group of the process that owns the socket", "skgid")


def _demuxed(run: Run) -> Socket | None:
    """tcp_v4_early_demux() (ip_rcv_finish_core): in LOCAL_IN a segment of a connection bears its socket already, unless the loopback
    device brought its route along."""
    ctx = run.ctx
    if ctx.hook != NF_INET_LOCAL_IN or ctx.indev is None or ctx.indev.loopback or run.skb.packet.proto != IPPROTO_TCP \
            or run.skb.packet.ext_headers:
        return None
    found = run.services.socket_lookup(ctx)
    return found if found is not None and not isinstance(found, Unknown) and found.state not in (TCP_LISTEN, TCP_CLOSE) else None


def _cgroup(run: Run) -> Value:
    if run.skb.extra.get("kernel socket") == run.ns.id and run.ctx.hook in (NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING):
        return word(0)  # sock_cgroup_classid() of icmp_sk or of tcp_v4_send_reset()'s socket
    if _demuxed(run) is not None:
        return 4, Var("the net_cls class of the receiving process", "cgroup classid")
    if run.skb.sock is None or run.skb.sock_ns not in ("", run.ns.id):
        return MISSING
    return 4, Var("the net_cls class of the sending process", "cgroup classid")


def _rtclassid(run: Run) -> Value:
    if run.skb.route is None:  # br_netfilter's fake_rtable has no class, and is there once the bridge has decided
        return word(0) if run.skb.physin is not None and run.ctx.hook != NF_INET_PRE_ROUTING else MISSING
    from pktdiag.netfilter.realms import realm

    known = realm(run.ns, run.skb.packet.family)
    return (4, Var("the realm of the route", "rtclassid")) if known is None else word(known)


def _pkttype(run: Run) -> Value:
    kind = run.skb.pkt_type
    if kind == PACKET_LOOPBACK:  # nft_meta_get_eval_pkttype_lo
        address = run.skb.packet.dst
        if run.pf == NFPROTO_IPV4 or (run.pf == NFPROTO_NETDEV and run.skb.ethertype == ETH_P_IP):
            kind = PACKET_MULTICAST if address[0] >> 4 == 14 else PACKET_BROADCAST
        elif run.pf == NFPROTO_IPV6 or (run.pf == NFPROTO_NETDEV and run.skb.ethertype == ETH_P_IPV6):
            kind = PACKET_MULTICAST
        else:
            return MISSING
    return bytes((kind,))


def _bridge_name(link: Link | None, run: Run) -> Value:
    """nft_meta_bridge_get_eval: the name of the bridge a port belongs to; none is a name as well, an empty one."""
    master = run.ns.link(link.master) if link is not None and link.master is not None else None
    return name_bytes(master.name if master else "")


def _bridge_mac(run: Run) -> Value:
    link = run.ctx.indev
    master = run.ns.link(link.master) if link and link.master is not None else None
    return master.mac if master else MISSING


def _filtering_bridge(link: Link | None, run: Run) -> Link | None:
    """The bridge of a port, only while it filters VLANs: br_vlan_enabled()."""
    bridge = run.ns.link(link.master) if link is not None and link.master is not None else None
    return bridge if bridge is not None and bridge.data.get("vlan_filtering") else None


def _pvid(run: Run) -> Value:
    """nft_meta_bridge_get_eval: the port's PVID."""
    link = run.ctx.indev
    bridge = _filtering_bridge(link, run)
    if link is None or bridge is None:
        return MISSING
    for entry in run.ns.bridge_vlans(bridge.ifindex):
        if entry.ifindex == link.ifindex and entry.pvid:
            return entry.vid.to_bytes(2, ORDER)
    return (0).to_bytes(2, ORDER)


def _vproto(run: Run) -> Value:
    bridge = _filtering_bridge(run.ctx.indev, run)
    return MISSING if bridge is None else int(bridge.data.get("vlan_protocol_number", 0x8100)).to_bytes(2, "big")


def _now(run: Run) -> float:
    return run.services.host.now()


def _hour(run: Run) -> Value:
    return word(int(_now(run)) % 86400)


def _day(run: Run) -> Value:
    return bytes(((4 + int(_now(run)) // 86400) % 7,))


def _time(run: Run) -> Value:
    return int(_now(run) * 1_000_000_000).to_bytes(8, ORDER)


def _slave(run: Run) -> Link | None:
    """The VRF port a packet came in on (inet_sdif), where the walk noted one."""
    index = run.skb.extra.get("sdif")
    return run.ns.link(index) if isinstance(index, int) and index else None


_GETTERS: dict[int, Callable[[Run], Value]] = {
    0: _length,
    1: _protocol,
    2: lambda run: word(run.skb.priority),
    3: _mark,
    4: lambda run: _ifindex(run.ctx.indev),
    5: lambda run: _ifindex(run.ctx.outdev),
    6: lambda run: _ifname(run.ctx.indev),
    7: lambda run: _ifname(run.ctx.outdev),
    8: _iftype_of_packet,
    9: lambda run: _iftype(run.ctx.outdev),
    10: _socket_owner,
    11: _socket_group,
    13: _rtclassid,
    14: lambda run: word(int(run.skb.extra.get("secmark", 0))),  # type: ignore[call-overload]
    15: lambda run: bytes((run.pf,)),
    16: _l4proto,
    17: lambda run: _bridge_name(run.ctx.indev, run),
    18: lambda run: _bridge_name(run.ctx.outdev, run),
    19: _pkttype,
    20: lambda run: (4, Var("the CPU that handles the packet", "cpu")),
    21: lambda run: _ifgroup(run.ctx.indev),
    22: lambda run: _ifgroup(run.ctx.outdev),
    23: _cgroup,
    24: lambda run: (4, Var("a random number (meta random)")),
    25: lambda run: bytes((1 if run.skb.extra.get("secpath") else 0,)),
    26: lambda run: _ifkind(run.ctx.indev),
    27: lambda run: _ifkind(run.ctx.outdev),
    28: _pvid,
    29: _vproto,
    30: _time,
    31: _day,
    32: _hour,
    33: lambda run: _ifindex(_slave(run)),
    34: lambda run: _ifname(_slave(run)),
    37: _bridge_mac,
}
