"""What each kind of device does with a frame it is to send (ndo_start_xmit).

Sources: drivers/net/veth.c (veth_xmit), drivers/net/loopback.c (loopback_xmit), drivers/net/dummy.c (dummy_xmit),
drivers/net/tun.c (tun_net_xmit), net/8021q/vlan_dev.c (vlan_dev_hard_start_xmit), drivers/net/bonding/bond_main.c,
net/core/skbuff.c (skb_scrub_packet), net/core/dev.c (__dev_forward_skb2).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import ETH_P_8021Q, PACKET_HOST
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk import device, ethernet
from pktdiag.walk.state import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Driver = Callable[[Walk, NamespaceView, Link, Skb], None]

NSID_UNASSIGNED = 0xFFFFFFFF


def hard_start(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """dev_hard_start_xmit(), behind the taps."""
    driver = _DRIVERS.get(dev.kind)
    if driver is not None:
        driver(walk, ns, dev, skb)
        return
    if dev.kind == "":
        _leave(walk, ns, dev, skb, f"It leaves this host through {dev.name}.")
        return
    walk.unsure(ns, "device-transmit", dev, skb, f"what the {dev.kind} device {dev.name} does with it, which is not modelled")


def _leave(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, text: str) -> None:
    """The other end is not a namespace of this host. The neighbour search wants to know where its question went."""
    walk.memory.setdefault("left", []).append((ns, dev, skb))
    walk.leave(ns, dev, skb, text)


def other_end(ns: NamespaceView, dev: Link) -> tuple[NamespaceView, Link] | None:
    """The device that IFLA_LINK names, with its namespace; None where it cannot be seen."""
    reference = dev.link
    if reference is None:
        return None
    there: NamespaceView | None = ns
    if reference.nsid is not None:
        there = ns.peer_namespace(reference.nsid) if reference.nsid != NSID_UNASSIGNED else None
    found = there.link(reference.ifindex) if there is not None else None
    return (there, found) if there is not None and found is not None else None


def forward_to(walk: Walk, ns: NamespaceView, dev: Link, there: NamespaceView, peer: Link, skb: Skb) -> None:
    """dev_forward_skb(): the frame comes out of ``peer`` as if from a wire, with nothing of this namespace left on it."""
    if not ethernet.forwardable(peer, skb):
        why = "is down" if not peer.up else f"has MTU {peer.mtu}, too small for a frame of {ethernet.length(skb)} bytes"
        walk.drop(ns, "device-transmit", dev, skb, "NOT_SPECIFIED", f"The other end of {dev.name}, {peer.name}, {why}.",
                  counters=device.refusal_counters(skb), cause="peer-down" if not peer.up else "peer-mtu")
        device.refused(walk, skb)
        return
    scrub(skb, crossing=there.id != ns.id)
    walk.enqueue(lambda: device.receive(walk, there, peer, skb), there, peer, skb)


def scrub(skb: Skb, *, crossing: bool) -> None:
    """skb_scrub_packet(): what a veth takes off; the mark only between namespaces. The socket stays (commit 9c4c325252c5)."""
    skb.pkt_type = PACKET_HOST
    skb.iif = 0
    skb.local_df = False
    skb.route = None
    skb.ct = skb.ct_state = None
    skb.nf_trace = False
    skb.physin = skb.physout = None
    skb.secmark = None
    skb.priority = 0
    for key in ("nf_bridge", "ct_template", "vlan_filtered"):
        skb.extra.pop(key, None)
    if crossing:
        skb.mark = 0


def _veth(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    found = other_end(ns, dev)
    if found is None:
        walk.unsure(ns, "device-transmit", dev, skb, f"the namespace holding the other end of {dev.name}, which cannot be seen")
        return
    there, peer = found
    forward_to(walk, ns, dev, there, peer, skb)


def _loopback(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """Connection, mark and route survive; the frame is for us by definition. loopback_xmit() orphans it from its socket."""
    skb.sock = None
    walk.enqueue(lambda: device.receive(walk, ns, dev, skb), ns, dev, skb)


def _swallow(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    walk.drop(ns, "device-transmit", dev, skb, "", f"{dev.name} is a {dev.kind} device: it counts what it is given and throws it away.",
              cause="swallowed")


def _tun(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """Carrier tells whether a program holds the other end; without one the noop queue took it already."""
    _leave(walk, ns, dev, skb, f"It is handed to the program that holds {dev.name}.")


def _vlan(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """The tag is put on and the real device sends, in its own namespace, with nothing scrubbed."""
    found = other_end(ns, dev)
    if found is None:
        walk.unsure(ns, "device-transmit", dev, skb, f"the device under {dev.name}, which cannot be seen")
        return
    skb.vlan_tci = int(dev.data.get("id", 0))
    skb.vlan_proto = int(dev.data.get("protocol", ETH_P_8021Q))
    device.transmit(walk, found[0], found[1], skb)


def _bond(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """bond_start_xmit(): active-backup uses the active slave, even one that is down where no monitor (miimon, arp_interval) has told so;
    other modes spread by a hash or a counter."""
    slaves = ns.ports(dev.ifindex)
    usable = [link for link in slaves if link.up and link.carrier]
    mode = dev.data.get("mode", "")
    active = dev.data.get("active_slave")
    if mode == "active-backup":
        usable = [link for link in slaves if link.ifindex == active]
    if not usable:
        walk.drop(ns, "device-transmit", dev, skb, "NOT_SPECIFIED", f"{dev.name} has no usable slave.", cause="no-slave")
        return
    if mode == "broadcast":
        for link in usable[:-1]:
            device.transmit(walk, ns, link, skb.copy())
        device.transmit(walk, ns, usable[-1], skb)
        return
    for link in usable[:-1]:
        if walk.decide(Unknown(f"{dev.name} ({mode}) picks {link.name}"), ("bond", ns.id, dev.ifindex, link.ifindex)):
            device.transmit(walk, ns, link, skb)
            return
    device.transmit(walk, ns, usable[-1], skb)


def _bridge(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    from pktdiag.walk import bridge

    bridge.device_xmit(walk, ns, dev, skb)


def _macvlan(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    from pktdiag.walk import macvlan

    macvlan.device_xmit(walk, ns, dev, skb)


def _vxlan(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    from pktdiag.walk import vxlan

    vxlan.device_xmit(walk, ns, dev, skb)


_DRIVERS: dict[str, Driver] = {
    "veth": _veth, "loopback": _loopback, "dummy": _swallow, "nlmon": _swallow, "ifb": _swallow, "tun": _tun, "vlan": _vlan,
    "bond": _bond, "bridge": _bridge, "macvlan": _macvlan, "macvtap": _macvlan, "vxlan": _vxlan,
}
