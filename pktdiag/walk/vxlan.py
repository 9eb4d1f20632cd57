"""vxlan: a frame becomes the payload of a UDP packet to another tunnel end, and is a frame again there.

Source: drivers/net/vxlan/vxlan_core.c (vxlan_xmit, vxlan_xmit_one, encap_bypass_if_local, vxlan_rcv, vxlan_set_mac, vxlan_snoop),
net/ipv4/ip_tunnel_core.c (iptunnel_xmit, __iptunnel_pull_header).
"""

from __future__ import annotations

from pktdiag.model.host import FdbEntry, Link
from pktdiag.model.kernel import AF_INET, IPPROTO_UDP, NUD_NOARP, NUD_PERMANENT
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb
from pktdiag.walk import addresses, device, ethernet, xmit
from pktdiag.walk.state import Walk

HEADERS = 16
"""Bytes of the UDP and vxlan headers."""
ZERO = bytes(6)


class Payload(NamedTuple):
    """What a vxlan packet carries, in ``skb.extra["vxlan"]``."""

    vni: int
    frame: Skb
    ns: NamespaceView
    dev: Link
    """The vxlan device that made it."""


def _home(ns: NamespaceView, dev: Link) -> NamespaceView | None:
    """vxlan->net: where its UDP packets live; the device itself may have been moved away from there."""
    nsid = dev.link.nsid if dev.link is not None else dev.data.get("link_nsid")
    if nsid is None:
        return ns
    return ns.peer_namespace(nsid) if nsid != xmit.NSID_UNASSIGNED else None


def _remotes(walk: Walk, ns: NamespaceView, dev: Link, mac: bytes) -> list[FdbEntry]:
    """vxlan_find_mac(), with the all-zero entry for everything unknown."""
    learned = walk.memory.get(("vxlan-fdb", ns.id, dev.ifindex, mac))
    entries = ns.fdb(dev.ifindex)
    found = [entry for entry in entries if entry.mac == mac and entry.dst is not None]
    if learned is not None and not any(entry.state & (NUD_PERMANENT | NUD_NOARP) for entry in found):
        return [FdbEntry(dev.ifindex, mac, 0, 0, 0, None, learned, None, None)]
    if not found:
        found = [entry for entry in entries if entry.mac == ZERO and entry.dst is not None]
    return found[1:] + found[:1]  # the first remote gets the original, last of all


def device_xmit(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    """vxlan_xmit()"""
    skb.extra["xmit-async"] = True
    special = next((name for name in ("external", "proxy", "rsc", "vnifilter") if dev.data.get(name)), None)
    home = _home(ns, dev)
    if special is not None or home is None:
        why = f"its {special} mode" if special else "the namespace it was made in, which cannot be seen"
        walk.unsure(ns, "tunnel", dev, skb, f"what {dev.name} does with it: {why} is not modelled" if special else why)
        return
    remotes = _remotes(walk, ns, dev, skb.dst_mac)
    if not remotes:
        walk.drop(ns, "tunnel", dev, skb, "NO_TX_TARGET", f"{dev.name} knows no tunnel end for {ethernet.text(skb.dst_mac)}.",
                  counters=(), cause="vxlan-no-remote")
        return
    for remote in remotes[:-1]:
        _send_to(walk, ns, dev, home, skb.copy(), remote)
    _send_to(walk, ns, dev, home, skb, remotes[-1])


def _send_to(walk: Walk, ns: NamespaceView, dev: Link, home: NamespaceView, skb: Skb, remote: FdbEntry) -> None:
    """vxlan_xmit_one(): the outer packet is one of the home namespace's own."""
    from pktdiag.walk import ip_output, route

    dst, vni, port = remote.dst or b"", remote.vni or int(dev.data.get("id", 0)), remote.port or int(dev.data.get("port", 4789))
    v4 = len(dst) == 4
    any_ = addresses.ANY4 if v4 else addresses.ANY6
    local = dev.data.get("local")
    # udp_flow_src_port(): a hash of the inner addresses with a secret of this boot, within the range
    low, high = dev.data.get("port_range") or (0, 0)
    low, high = (low, high) if high else (32768, 60999)
    ttl = int(dev.data.get("ttl", 0)) or (1 if addresses.is_multicast(dst) else 64)
    inner = skb.packet
    outer = Packet(src=local if isinstance(local, bytes) and len(local) == len(dst) else any_, dst=dst, proto=IPPROTO_UDP, sport=low,
                   dport=port, ttl=ttl, length=ethernet.length(skb) + HEADERS + (20 if v4 else 40), df=int(dev.data.get("df", 0)) == 1,
                   unknown=inner.unknown | ({"payload"} if high - low <= 1 else {"payload", "sport"}), tcp_flags=0)
    oif = dev.link.ifindex if dev.link is not None else 0
    decision = route.output(walk, home, outer, oif=oif, mark=skb.mark if home.id == ns.id else 0, any_source=True)
    out = home.link(decision.oif) if decision.kind != "error" else None
    if out is None:
        walk.drop(ns, "tunnel", dev, skb, "NOT_SPECIFIED",
                  f"{dev.name} has no route to the tunnel end {format_address(dst)}: {decision.text}.", cause="vxlan-no-route")
        return
    if addresses.is_any(outer.src):
        outer = outer._replace(src=decision.src)
    walk.step(ns, "tunnel", dev, f"{dev.name}: vxlan {vni}, to the tunnel end {format_address(dst)} port {port}.")
    carrier = Skb(outer, skb.mark if home.id == ns.id else 0)
    carrier.extra["vxlan"] = Payload(vni, skb, ns, dev)
    carrier.extra["xmit-async"] = True
    if decision.kind == "local" and dev.data.get("localbypass", 1):
        found = _device_for(walk, home, vni, port)
        if found is None:
            walk.drop(ns, "tunnel", dev, skb, "NOT_SPECIFIED",
                      f"The tunnel end {format_address(dst)} is this host, and no vxlan {vni} is here.", cause="vxlan-vni")
        else:
            _decapsulate(walk, home, skb, found, outer.src, vni)
        return
    carrier.route = decision
    ip_output.local_out(walk, home, carrier, decision, out)


def _device_for(walk: Walk, ns: NamespaceView, vni: int, port: int) -> tuple[NamespaceView, Link] | None:
    """vxlan_find_vni(): the device whose UDP socket is in ``ns``, wherever the device itself is."""
    for other in (ns, None):
        for view in [ns] if other is not None else walk.host.namespaces():
            try:
                links = view.links().values()
            except Unreadable:
                continue
            for link in links:
                if link.kind != "vxlan" or link.data.get("id") != vni or link.data.get("port", 4789) != port or not link.up:
                    continue
                home = _home(view, link)
                if home is not None and home.id == ns.id:
                    return view, link
    return None


def receive(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """vxlan_rcv(), where the UDP packet reached a vxlan socket of this namespace. False: it is a packet like any other."""
    payload = skb.extra.get("vxlan")
    if not isinstance(payload, Payload):
        return False
    found = _device_for(walk, ns, payload.vni, skb.packet.dport)
    walk.count(ns, "UdpInDatagrams" if skb.packet.family == AF_INET else "Udp6InDatagrams")
    if found is None:
        walk.drop(ns, "tunnel", dev, skb, "VXLAN_VNI_NOT_FOUND", f"No vxlan device here has the identifier {payload.vni}.",
                  cause="vxlan-vni")
        return True
    inner = payload.frame
    inner.mark = skb.mark
    _decapsulate(walk, ns, inner, found, skb.packet.src, payload.vni)
    return True


def _decapsulate(walk: Walk, ns: NamespaceView, inner: Skb, found: tuple[NamespaceView, Link], source: bytes, vni: int) -> None:
    there, dev = found
    walk.step(there, "tunnel", dev, f"{dev.name} takes it out of the vxlan {vni} packet from {format_address(source)}.",
              packet=inner.packet)
    if inner.src_mac == dev.mac:
        walk.drop(there, "tunnel", dev, inner, "LOCAL_MAC", f"The frame came back to {dev.name}, which sent it.", cause="vxlan-loop")
        return
    if dev.data.get("learning", 1):
        known = [entry for entry in there.fdb(dev.ifindex) if entry.mac == inner.src_mac and entry.dst is not None]
        if any(entry.state & (NUD_PERMANENT | NUD_NOARP) for entry in known) and known[0].dst != source:
            walk.drop(there, "tunnel", dev, inner, "VXLAN_ENTRY_EXISTS", cause="vxlan-static",
                      text=f"A static entry of {dev.name} says {ethernet.text(inner.src_mac)} is behind another tunnel end.")
            return
        walk.memory[("vxlan-fdb", there.id, dev.ifindex, inner.src_mac)] = source
    inner.vlan_tci = None
    xmit.scrub(inner, crossing=there.id != ns.id)
    walk.enqueue(lambda: device.receive(walk, there, dev, inner), there, dev, inner)
