"""Routing decisions: where a packet that came in, or that is sent from here, goes next.

Sources: net/ipv4/route.c (ip_route_input_slow, __mkroute_input, ip_route_output_key_hash_rcu, __mkroute_output, ip_error),
net/ipv4/fib_frontend.c (fib_validate_source, __fib_validate_source), net/ipv6/route.c (ip6_route_input,
ip6_route_output_flags, ip6_pkt_drop).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    IFF_LOOPBACK,
    RT_SCOPE_LINK,
    RT_SCOPE_UNIVERSE,
    RTN_BROADCAST,
    RTN_LOCAL,
    RTN_MULTICAST,
    RTN_UNICAST,
)
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.walk import addresses as addr
from pktdiag.walk.fib import LOOPBACK_IFINDEX, FibMatch, Flow, describe, lookup
from pktdiag.walk.state import Walk


class RouteResult(NamedTuple):
    """A routing decision (struct rtable / rt6_info)."""

    kind: str
    """"unicast", "local", "broadcast", "multicast", or "error"."""
    error: str | None
    """errno name for kind "error"."""
    oif: int
    """ifindex it leaves through; for local delivery the device it counts as received on."""
    gateway: bytes | None
    """None: the destination itself is the next hop."""
    src: bytes
    """The source address the decision prefers; zeroes where it prefers none."""
    mtu: int | None
    """The route's own MTU in bytes, None: the device's."""
    match: FibMatch | None
    reason: str = ""
    """For an error: the drop reason name."""
    text: str = ""
    local_copy: bool = False
    """Broadcast and joined multicast on output: this host hears it too."""
    mtu_locked: bool = False
    foreign: bool = False
    """"local" only for leaving through the loopback device (RTCF_LOCAL without RTN_LOCAL): nobody's address."""

    def next_hop(self, packet: Packet) -> bytes:
        return self.gateway if self.gateway is not None else packet.dst


def flow_of(packet: Packet, *, iif: int = LOOPBACK_IFINDEX, oif: int = 0, mark: int = 0, uid: int = 0) -> Flow:
    fragment = packet.fragment_offset > 0
    return Flow(packet.family, packet.dst, packet.src, iif, oif, mark, packet.tos, packet.proto,
                0 if fragment else packet.sport, 0 if fragment else packet.dport, uid)


def _error(errno: str, reason: str, text: str, match: FibMatch | None = None, oif: int = 0) -> RouteResult:
    return RouteResult("error", errno, oif, None, b"", None, match, reason, text)


def _leaving(kind: str, out: int, gateway: bytes | None, src: bytes, match: FibMatch | None, foreign: bool = False) -> RouteResult:
    route = match.route if match is not None else None
    return RouteResult(kind, None, out, gateway, src, route.mtu if route is not None else None, match, foreign=foreign,
                       mtu_locked=route is not None and route.mtu_locked)


# -- IPv4 -------------------------------------------------------------------------------------------------------------
def output(walk: Walk, ns: NamespaceView, packet: Packet, *, oif: int = 0, mark: int = 0, uid: int = 0,
           any_source: bool = False) -> RouteResult:
    """ip_route_output_flow() / ip6_route_output_flags() for a packet of this namespace's own."""
    if packet.family == AF_INET6:
        return _output6(walk, ns, packet, oif, mark, uid, any_source)
    src, dst = packet.src, packet.dst
    if not addr.is_any(src):
        if addr.is_multicast(src) or addr.is_limited_broadcast(src):
            return _error("EINVAL", "", f"{format_address(src)} cannot be a source address")
        if not any_source and not addr.is_local(ns, src):
            return _error("EINVAL", "", f"{format_address(src)} is not an address of this namespace")
    device = ns.link(oif) if oif else None
    if oif:
        if device is None:
            return _error("ENODEV", "", f"there is no interface {oif}")
        if not device.up:
            return _error("ENETUNREACH", "IP_OUTNOROUTES", f"{device.name} is down")
        if addr.is_multicast(dst) or addr.is_limited_broadcast(dst):
            chosen = src if not addr.is_any(src) else addr.select_address(ns, device, None, RT_SCOPE_LINK)
            return _make_output(walk, ns, packet._replace(src=chosen), device, RTN_UNICAST, None)
    elif not addr.is_any(src) and (addr.is_multicast(dst) or addr.is_limited_broadcast(dst)):
        own = addr.owner(ns, src)
        # __ip_dev_find(): else the local table knows, as for 127.0.0.5
        device = ns.link(own.ifindex) if own else ns.link(LOOPBACK_IFINDEX) if addr.is_loopback(src) and addr.is_local(ns, src) else None
        if device is not None:
            return _make_output(walk, ns, packet, device, RTN_UNICAST, None)
    if addr.is_any(dst):
        dst = src if not addr.is_any(src) else b"\x7f\0\0\1"
        packet = packet._replace(dst=dst, src=dst)
        return _local_output(ns, packet, None)
    match = lookup(walk, ns, flow_of(packet, oif=oif, mark=mark, uid=uid))
    if not match.ok:
        if device is not None and not addr.is_multicast(dst):
            # "Apparently, routing tables are wrong. Assume, that the destination is on link."
            chosen = src if not addr.is_any(src) else addr.select_address(ns, device, None, RT_SCOPE_LINK)
            return _make_output(walk, ns, packet._replace(src=chosen), device, RTN_UNICAST, None)
        return _error(match.error or "ENETUNREACH", "IP_OUTNOROUTES", _failed_text(match, dst), match)
    if match.type == RTN_LOCAL:
        return _local_output(ns, packet, match)
    hop = match.nexthop
    out = ns.link(hop.ifindex) if hop and hop.ifindex else None
    if out is None:
        return _error("ENETUNREACH", "IP_OUTNOROUTES", f"the route {describe(match)} has no usable device", match)
    if addr.is_any(src):
        packet = packet._replace(src=preferred_source(ns, match, out))
    return _make_output(walk, ns, packet, out, match.type, match)


def preferred_source(ns: NamespaceView, match: FibMatch, out: Link) -> bytes:
    """fib_result_prefsrc(): the route's own preference, else the address nearest to the next hop."""
    route = match.route
    if route is not None and route.prefsrc is not None:
        return route.prefsrc
    gateway = match.nexthop.gateway if match.nexthop else None
    return addr.select_address(ns, out, gateway, route.scope if route is not None else RT_SCOPE_UNIVERSE)


def _local_output(ns: NamespaceView, packet: Packet, match: FibMatch | None) -> RouteResult:
    prefsrc = match.route.prefsrc if match is not None and match.route is not None else None
    src = packet.src if not addr.is_any(packet.src) else prefsrc or packet.dst
    return RouteResult("local", None, LOOPBACK_IFINDEX, None, src, None, match, text="this namespace's own address")


def _make_output(walk: Walk, ns: NamespaceView, packet: Packet, out: Link, type_: int, match: FibMatch | None) -> RouteResult:
    """__mkroute_output()"""
    src, dst = packet.src, packet.dst
    if not out.loopback and addr.is_loopback(src) and not addr.conf_or(ns, out.name, "route_localnet"):
        return _error("EINVAL", "IP_OUTNOROUTES", f"a loopback source cannot leave through {out.name} (route_localnet=0)", match)
    if addr.is_limited_broadcast(dst):
        type_ = RTN_BROADCAST
    elif addr.is_multicast(dst):
        type_ = RTN_MULTICAST
    elif addr.is_zeronet(dst):
        return _error("EINVAL", "IP_OUTNOROUTES", "0.0.0.0 is no destination", match)
    gateway = match.nexthop.gateway if match is not None and match.nexthop is not None else None
    if type_ == RTN_BROADCAST:
        return RouteResult("broadcast", None, out.ifindex, None, src, None, match, local_copy=True)
    if type_ == RTN_MULTICAST:
        return RouteResult("multicast", None, out.ifindex, None, src, None, match, local_copy=False)
    # RTCF_LOCAL: what leaves through the loopback device comes back in and is delivered, whatever its address
    kind = "local" if out.loopback else "unicast"
    return _leaving(kind, out.ifindex, gateway, src, match, out.loopback)


def _failed_text(match: FibMatch, dst: bytes) -> str:
    target = format_address(dst)
    if match.route is not None:
        return f"the route for {target} says so: {describe(match)}"
    if match.rule is not None:
        return f"policy rule {match.rule.priority} refuses {target}"
    return f"no route to {target}"


def input_(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int) -> RouteResult:
    """ip_route_input_slow() / ip6_route_input() for a packet that arrived on ``dev``."""
    if packet.family == AF_INET6:
        return _input6(walk, ns, dev, packet, mark)
    src, dst = packet.src, packet.dst
    if addr.is_multicast(dst):
        return _multicast_input(walk, ns, dev, packet, mark)
    if addr.is_multicast(src) or addr.is_limited_broadcast(src):
        return _martian_source(dev, packet, "IP_INVALID_SOURCE", "a multicast or broadcast address cannot be a source")
    if addr.is_limited_broadcast(dst) or (addr.is_any(src) and addr.is_any(dst)):
        return _broadcast_input(walk, ns, dev, packet, mark, None)
    if addr.is_zeronet(src):
        return _martian_source(dev, packet, "IP_INVALID_SOURCE", "0.0.0.0 cannot be a source here")
    if addr.is_zeronet(dst):
        return _error("EINVAL", "IP_INVALID_DEST", "0.0.0.0 is no destination")
    localnet = addr.conf_or(ns, dev.name, "route_localnet")
    if addr.is_loopback(dst) and not localnet:
        return _error("EINVAL", "IP_LOCALNET", f"127.0.0.0/8 is not accepted from {dev.name} (route_localnet=0): martian destination")
    if addr.is_loopback(src) and not localnet:
        return _martian_source(dev, packet, "IP_LOCALNET", f"127.0.0.0/8 is not accepted from {dev.name} (route_localnet=0)")
    match = lookup(walk, ns, flow_of(packet, iif=dev.ifindex, mark=mark))
    forwarding = addr.conf(ns, AF_INET, dev.name, "forwarding")
    if not match.ok:
        errno = match.error if forwarding else "EHOSTUNREACH"
        return _unreachable(ns, dev, dst, errno or "ENETUNREACH", match, bool(forwarding))
    if match.type == RTN_BROADCAST:
        if not addr.conf_and(ns, dev.name, "bc_forwarding"):
            return _broadcast_input(walk, ns, dev, packet, mark, match)
    elif match.type == RTN_LOCAL:
        wrong = validate_source(walk, ns, dev, packet, mark, oif=0)
        if wrong is not None:
            return wrong
        return RouteResult("local", None, dev.ifindex, None, b"", None, match,
                           text=f"{format_address(dst)} is this namespace's own address")
    if not forwarding:
        return _unreachable(ns, dev, dst, "EHOSTUNREACH", match, False)
    if match.type not in (RTN_UNICAST, RTN_BROADCAST):
        return _error("EINVAL", "IP_INVALID_DEST", f"martian destination {format_address(dst)}", match)
    hop = match.nexthop
    out = ns.link(hop.ifindex) if hop and hop.ifindex else None
    if hop is None or out is None:
        return _error("EINVAL", "IP_INVALID_DEST", f"the route {describe(match)} has no usable device", match)
    wrong = validate_source(walk, ns, dev, packet, mark, oif=out.ifindex)
    if wrong is not None:
        return wrong
    return _leaving("unicast", out.ifindex, hop.gateway, b"", match)


def _unreachable(ns: NamespaceView, dev: Link, dst: bytes, errno: str, match: FibMatch, forwarding: bool) -> RouteResult:
    """The no_route label: the packet goes on to ip_error() through the local-delivery path (no INPUT hook)."""
    target = format_address(dst)
    if not forwarding:
        return _error("EHOSTUNREACH", "IP_INADDRERRORS",
                      f"{target} is not an address of this namespace, and it does not forward from {dev.name} "
                      f"(net.ipv4.conf.{dev.name}.forwarding=0)", match)
    reason = "IP_INNOROUTES" if errno == "ENETUNREACH" else "NOT_SPECIFIED"
    return _error(errno, reason, _failed_text(match, dst), match)


def _martian_source(dev: Link, packet: Packet, reason: str, text: str) -> RouteResult:
    return _error("EINVAL", reason, f"martian source {format_address(packet.src)} on {dev.name}: {text}")


def _broadcast_input(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int, match: FibMatch | None) -> RouteResult:
    wrong = _validate_source_of_many(walk, ns, dev, packet, mark)
    if wrong is not None:
        return wrong
    return RouteResult("broadcast", None, dev.ifindex, None, b"", None, match, text=f"broadcast on {dev.name}")


def _validate_source_of_many(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int) -> RouteResult | None:
    """ip_route_input_slow() at brd_input, ip_mc_validate_source(): the way back is asked for from no address at all."""
    if addr.is_zeronet(packet.src):
        return None
    return validate_source(walk, ns, dev, packet._replace(dst=bytes(4)), mark, oif=0)


def _multicast_input(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int) -> RouteResult:
    """ip_route_input_rcu() for multicast: delivered where the interface joined the group, else dropped."""
    group = packet.dst
    joined = group == b"\xe0\0\0\1" or multicast_member(walk, ns, dev, group)
    if not joined:
        return _error("EINVAL", "IP_INVALID_DEST", f"{dev.name} has not joined {format_address(group)}")
    if addr.is_multicast(packet.src) or addr.is_limited_broadcast(packet.src) or addr.is_loopback(packet.src):
        return _martian_source(dev, packet, "IP_INVALID_SOURCE", "not a usable source")
    wrong = _validate_source_of_many(walk, ns, dev, packet, mark)
    if wrong is not None:
        return wrong
    return RouteResult("multicast", None, dev.ifindex, None, b"", None, None, text=f"{dev.name} listens to {format_address(group)}")


def multicast_member(walk: Walk, ns: NamespaceView, dev: Link, group: bytes) -> bool:
    """ip_check_mc_rcu() / ipv6_chk_mcast_addr(): whether the device joined the group."""
    from pktdiag.netfilter.context import Unknown

    members = getattr(ns, "multicast_groups", None)
    if members is None:
        return walk.decide(Unknown(f"{dev.name} has joined {format_address(group)}"), ("mc", ns.id, dev.ifindex, group))
    return group in members(len(group), dev.ifindex)


def validate_source(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int, *, oif: int) -> RouteResult | None:
    """fib_validate_source(): reverse path filtering and the refusal of this host's own addresses. None: it is fine."""
    strictness = addr.conf_max(ns, dev.name, "rp_filter")
    redirects = _sends_redirects(ns, dev)
    if not strictness and (dev.ifindex != oif or not redirects):
        if addr.conf_or(ns, dev.name, "accept_local"):
            return None
        if not _custom_local(ns):
            if addr.owner(ns, packet.src) is not None:
                return _local_source(dev, packet)
            return None
    return _validate_source_slow(walk, ns, dev, packet, mark, oif, strictness)


def _sends_redirects(ns: NamespaceView, dev: Link) -> bool:
    """IN_DEV_TX_REDIRECTS."""
    return addr.conf_or(ns, dev.name, "send_redirects")


def _custom_local(ns: NamespaceView) -> bool:
    """fib_has_custom_local_routes or fib4_has_custom_rules: anything but the three rules every namespace is born with, or
    a local route that no address made (RTPROT_KERNEL is 2)."""
    rules = ns.route_rules(AF_INET)
    if len(rules) > 3 or any((rule.priority, rule.table) not in ((0, 255), (32766, 254), (32767, 253)) for rule in rules):
        return True
    return any(route.protocol != 2 and route.type == RTN_LOCAL for route in ns.routes(AF_INET, 255))


def _local_source(dev: Link, packet: Packet) -> RouteResult:
    return _error("EINVAL", "IP_LOCAL_SOURCE", f"martian source: {format_address(packet.src)} is this namespace's own address, "
                  f"yet the packet came in on {dev.name} (accept_local=0)")


def _validate_source_slow(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int, oif: int,
                          strictness: int) -> RouteResult | None:
    """__fib_validate_source(): a lookup of the way back, and whether it uses this device."""
    rp_mark = mark if addr.conf_or(ns, dev.name, "src_valid_mark") else 0
    flow = Flow(AF_INET, packet.src, packet.dst, oif or LOOPBACK_IFINDEX, 0, rp_mark, packet.tos, packet.proto,
                packet.dport, packet.sport, 0)
    match = lookup(walk, ns, flow)
    unroutable = _rp_filter(dev, packet, strictness, "no route leads back to it") if strictness else None
    if not match.ok:
        return unroutable
    if match.type != RTN_UNICAST and match.type != RTN_LOCAL:
        return _error("EINVAL", "IP_INVALID_SOURCE", f"martian source {format_address(packet.src)}: not a host's address")
    if match.type == RTN_LOCAL and not addr.conf_or(ns, dev.name, "accept_local"):
        return _local_source(dev, packet)
    hops = match.route.nexthops if match.route is not None else ()
    if any(hop.ifindex == dev.ifindex for hop in hops) or (match.type == RTN_LOCAL and bool(dev.flags & IFF_LOOPBACK)):
        return None
    if not any(item.ifindex == dev.ifindex for item in ns.addresses(AF_INET)):
        return unroutable
    if strictness == 1:
        return _rp_filter(dev, packet, 1, f"the way back goes through {_device_names(ns, hops)}")
    # Loose: any route through this device is enough to know, but not needed; only its scope would matter.
    return None


def _device_names(ns: NamespaceView, hops: tuple[object, ...]) -> str:
    names = []
    for hop in hops:
        link = ns.link(getattr(hop, "ifindex", 0) or 0)
        if link is not None:
            names.append(link.name)
    return ", ".join(names) or "no device"


def _rp_filter(dev: Link, packet: Packet, strictness: int, why: str) -> RouteResult:
    mode = "strict" if strictness == 1 else "loose"
    return _error("EXDEV", "IP_RPFILTER", f"rp_filter ({mode}) on {dev.name} refuses source {format_address(packet.src)}: {why}")


# -- IPv6 -------------------------------------------------------------------------------------------------------------
def _output6(walk: Walk, ns: NamespaceView, packet: Packet, oif: int, mark: int, uid: int, any_source: bool) -> RouteResult:
    src, dst = packet.src, packet.dst
    if not addr.is_any(src) and not any_source and not addr.is_local(ns, src):
        return _error("EINVAL", "", f"{format_address(src)} is not an address of this namespace")
    if addr.is_multicast(dst) or addr.is_link_local(dst):
        if not oif:
            own = addr.owner(ns, src) if not addr.is_any(src) else None
            oif = own.ifindex if own else 0
    match = lookup(walk, ns, flow_of(packet, oif=oif, mark=mark, uid=uid))
    if not match.ok:
        return _error(match.error or "ENETUNREACH", "IP_OUTNOROUTES", _failed_text(match, dst), match)
    hop = match.nexthop
    out = ns.link(hop.ifindex) if hop and hop.ifindex else None
    if match.type in (RTN_LOCAL, 4):
        # rt6: a local route points at the owning device, but the packet loops through lo (ip6_rt_init_dst, addrconf_f6i_alloc).
        chosen = src if not addr.is_any(src) else (match.route.prefsrc if match.route and match.route.prefsrc else dst)
        return RouteResult("local", None, LOOPBACK_IFINDEX, None, chosen, None, match, text="this namespace's own address")
    if hop is None or out is None:
        return _error("ENETUNREACH", "IP_OUTNOROUTES", f"the route {describe(match)} has no usable device", match)
    chosen = src
    if addr.is_any(src):
        prefsrc = match.route.prefsrc if match.route is not None else None
        chosen = prefsrc or addr.select_address6(ns, out, dst)
    kind = "multicast" if addr.is_multicast(dst) else "unicast"
    return _leaving(kind, out.ifindex, None if kind == "multicast" else hop.gateway, chosen, match)


def _input6(walk: Walk, ns: NamespaceView, dev: Link, packet: Packet, mark: int) -> RouteResult:
    dst = packet.dst
    if addr.is_multicast(dst):
        if dst == b"\xff\x02" + bytes(13) + b"\1" or multicast_member(walk, ns, dev, dst):
            return RouteResult("multicast", None, dev.ifindex, None, b"", None, None, text=f"{dev.name} listens to {format_address(dst)}")
        return _error("EINVAL", "IP_INADDRERRORS", f"{dev.name} has not joined {format_address(dst)}")
    match = lookup(walk, ns, flow_of(packet, iif=dev.ifindex, mark=mark))
    if not match.ok:
        reason = "IP_INNOROUTES"
        return _error(match.error or "ENETUNREACH", reason, _failed_text(match, dst), match)
    if match.type in (RTN_LOCAL, 4):
        return RouteResult("local", None, dev.ifindex, None, b"", None, match,
                           text=f"{format_address(dst)} is this namespace's own address")
    hop = match.nexthop
    out = ns.link(hop.ifindex) if hop and hop.ifindex else None
    if hop is None or out is None:
        return _error("ENETUNREACH", "IP_INNOROUTES", f"the route {describe(match)} has no usable device", match)
    return _leaving("unicast", out.ifindex, hop.gateway, b"", match)


def forwards6(ns: NamespaceView, dev: Link) -> bool:
    """ip6_forward(): the namespace-wide switch; since v6.17 also conf.DEVICE.force_forwarding (commit f24987ef6959)."""
    return bool(addr.conf(ns, AF_INET6, "all", "forwarding") or addr.conf(ns, AF_INET6, dev.name, "force_forwarding"))
