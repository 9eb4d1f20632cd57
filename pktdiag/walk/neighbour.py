"""The last step of IP output: the next hop's link-layer address, from the neighbour table or by asking the link.

Asking is simulated, frame by frame, through the same devices, bridges and rules as the packet itself; whoever would
answer, answers. Nothing of it is recorded in the packet's own trace.

Sources: net/core/neighbour.c (neigh_resolve_output, __neigh_event_send, neigh_invalidate, neigh_event_ns), net/ipv4/arp.c
(arp_constructor, arp_error_report), net/ipv6/ndisc.c (ndisc_constructor, ndisc_error_report).
"""

from __future__ import annotations

from pktdiag.model.host import Gap, Link, Neighbour
from pktdiag.model.kernel import (
    AF_INET,
    AF_INET6,
    IFF_LOOPBACK,
    IFF_NOARP,
    IFF_POINTOPOINT,
    NUD_NAMES,
    NUD_NOARP,
    NUD_PERMANENT,
    NUD_REACHABLE,
    NUD_VALID,
    PACKET_HOST,
    RTN_BROADCAST,
)
from pktdiag.model.packet import format_address
from pktdiag.model.trace import DROPPED, REJECTED, Drop, RuleRef
from pktdiag.model.view import NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk import addresses, device, ethernet
from pktdiag.walk.state import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque


def output(walk: Walk, ns: NamespaceView, dev: Link, next_hop: bytes, skb: Skb) -> None:
    """ip_finish_output2() / ip6_finish_output2(): fills in the Ethernet header and transmits, or fails as the kernel does."""
    master = ns.link(dev.master) if dev.master is not None else None
    if master is not None and master.kind == "vrf":
        walk.unsure(ns, "neighbour", dev, skb, f"the detour through the VRF {master.name}, which is not modelled")
        return
    if not ethernet.has_header(dev):
        skb.src_mac = skb.dst_mac = b""
        _send(walk, ns, dev, skb)
        return
    mac = _without_asking(ns, dev, next_hop)
    if mac is None:
        mac = known(walk, ns, dev, next_hop)
        if mac is not None:
            walk.step(ns, "neighbour", dev, f"Neighbour {format_address(next_hop)} is at {ethernet.text(mac)}"
                      f"{_state_text(walk, ns, dev, next_hop)}.")
        elif not _waits_with_others(walk, ns, dev, next_hop, skb):
            mac = resolve(walk, ns, dev, next_hop, skb)
            if (ns.id, dev.ifindex, next_hop) in walk.memory.get("failed-neighbours", ()):
                mac = None  # whoever answers now comes too late: see _failed()
    if mac is None:
        _failed(walk, ns, dev, next_hop, skb)
        return
    skb.src_mac, skb.dst_mac = dev.mac, mac
    _send(walk, ns, dev, skb)


def _waits_with_others(walk: Walk, ns: NamespaceView, dev: Link, next_hop: bytes, skb: Skb) -> bool:
    """Fragments of one datagram wait in one queue (arp_queue): what became of the question for the first is true for all of them."""
    piece = skb.extra.get("piece")
    if piece is None:
        return False
    asked = walk.memory.setdefault("asked for pieces", {})
    key = (ns.id, dev.ifindex, next_hop, piece.datagram.number)  # type: ignore[attr-defined]
    if key in asked:
        skb.extra["xmit-async"] = True
        skb.extra["unresolved"] = asked[key].extra.get("unresolved")
        skb.extra["waits with others"] = True
        return True
    asked[key] = skb
    return False


def _send(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> None:
    # PACKET_OUTGOING is only what taps say; the field still holds what the receive side left there, and a driver resets it.
    skb.pkt_type = PACKET_HOST
    device.transmit(walk, ns, dev, skb)


def _without_asking(ns: NamespaceView, dev: Link, next_hop: bytes) -> bytes | None:
    """arp_constructor() / ndisc_constructor(): group addresses map, devices without ARP use their own address."""
    if addresses.is_multicast(next_hop):
        return ethernet.multicast_mac(next_hop)
    if dev.flags & (IFF_NOARP | IFF_LOOPBACK):
        return dev.mac
    if dev.flags & IFF_POINTOPOINT:
        return ethernet.BROADCAST
    if len(next_hop) == 4 and addresses.address_type(ns, next_hop, dev.ifindex) == RTN_BROADCAST:
        return ethernet.BROADCAST
    return None


def _family(address: bytes) -> int:
    return AF_INET if len(address) == 4 else AF_INET6


def entry(ns: NamespaceView, dev: Link, address: bytes) -> Neighbour | None:
    """The kernel's own entry, proxy entries aside."""
    return ns.neighbour(_family(address), dev.ifindex, address, False)


def known(walk: Walk, ns: NamespaceView, dev: Link, address: bytes) -> bytes | None:
    """A usable address: a valid entry (STALE is used at once and verified later), or what this walk has learned since."""
    found = entry(ns, dev, address)
    if found is not None and found.state & (NUD_PERMANENT | NUD_NOARP):
        return found.lladdr or dev.mac
    learned = walk.learned_neighbours.get((ns.id, dev.ifindex, address))
    if learned is not None:
        return learned
    if found is not None and found.state & NUD_VALID and found.lladdr:
        return found.lladdr
    return None


def learn(walk: Walk, ns: NamespaceView, dev: Link, address: bytes, mac: bytes) -> None:
    """neigh_event_ns() / neigh_update(): what a request or an answer tells. A permanent entry stays as it is."""
    found = entry(ns, dev, address)
    if found is None or not found.state & (NUD_PERMANENT | NUD_NOARP):
        walk.learned_neighbours[(ns.id, dev.ifindex, address)] = mac


def header_cached(walk: Walk, ns: NamespaceView, dev: Link, address: bytes) -> bool:
    """Whether the entry is connected and has its header prepared (neigh->hh), which the first packet sent to a valid entry
    does (neigh_resolve_output). The entry does not say so, but its history does (net/core/neighbour.c: neigh_event_send sets
    ``used``, neigh_update ``confirmed``, neigh_probe counts)."""
    found = entry(ns, dev, address)
    if found is None or not found.state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP) or not found.lladdr:
        return False
    cached = _header_asked_for(found)
    if cached is not None:
        return cached
    return walk.decide(Unknown(f"the kernel has a prepared header for neighbour {format_address(address)} on {dev.name}"),
                       ("hh", ns.id, dev.ifindex, address))


def _header_asked_for(of: Neighbour) -> bool | None:
    """True: a packet was sent to it; False: none since it was made by hand; None: its history fits both."""
    if of.history is None:
        return None
    confirmed, used, updated, probes = of.history
    if of.state & NUD_REACHABLE and (probes or abs(confirmed - updated) > 1):
        return True  # asked for on behalf of a packet that waited, or found alive while packets were sent to it
    if abs(used - confirmed) <= 1:
        return False
    return True if used < confirmed else None


def _state_text(walk: Walk, ns: NamespaceView, dev: Link, address: bytes) -> str:
    found = entry(ns, dev, address)
    if found is None or (ns.id, dev.ifindex, address) in walk.learned_neighbours:
        return " (learned a moment ago)"
    return f" ({NUD_NAMES.get(found.state, str(found.state))})"


def resolve(walk: Walk, ns: NamespaceView, dev: Link, next_hop: bytes, skb: Skb) -> bytes | None:
    """Asks the link for ``next_hop``, as arp_solicit() / ndisc_solicit() do. None: nobody answers."""
    key = ("resolving", ns.id, dev.ifindex, next_hop)
    if key in walk.memory:
        return None
    v4 = len(next_hop) == 4
    what = "ARP" if v4 else "neighbour discovery"
    base = "ipv4" if v4 else "ipv6"
    if ns.sysctl(f"net/{base}/neigh/{dev.name}/mcast_solicit") == "0" and ns.sysctl(f"net/{base}/neigh/{dev.name}/app_solicit") == "0":
        return None
    from pktdiag.walk import arp, ndisc

    skb.extra["xmit-async"] = True  # it waits in arp_queue: no error gets back to the sender any more
    saved = walk.overhear("left", "silent-ends", "silent-notes", "silent-hits", "xmit-depth", "doubts")
    walk.memory[key] = True
    walk.memory["patience"] = _patience(ns, dev, base)
    backlog, walk.backlog = walk.backlog, deque()
    doubts: list[str] = []
    hits: list[RuleRef] = []
    try:
        for turn in range(_times(walk, ns, dev, next_hop, base)):
            (arp if v4 else ndisc).solicit(walk, ns, dev, next_hop, skb)
            walk.run_backlog()
            if known(walk, ns, dev, next_hop) is None:
                _ask_outside(walk, next_hop)
            if not turn:
                skb.extra["unresolved"] = _explanation(walk)
            # What is asked again meets the rules as the first time left them: a quota is charged anew, a set has a new element. Where there
            # are doubts it was asked once at least: somebody unseen may have answered.
            if known(walk, ns, dev, next_hop) is not None or not walk.memory.get("silent-hits") or walk.memory.get("doubts"):
                break
        doubts, hits = walk.memory.get("doubts", []), walk.memory.get("silent-hits", [])
    finally:
        walk.backlog = backlog
        walk.listen_again(saved)
        del walk.memory[key]
    mac = known(walk, ns, dev, next_hop)
    for rule in hits:  # the packet's doing, too
        walk.hit(rule)
    if mac is None and doubts:  # the request may have been lost only for what could not be read: that is no "nobody"
        raise Unreadable(Gap(ns.id, f"whether {format_address(next_hop)} answers {what} on {dev.name}", doubts[0], ""))
    if mac is not None:
        walk.step(ns, "neighbour", dev, f"Neighbour {format_address(next_hop)} is not known yet; {what} on {dev.name} finds it at "
                  f"{ethernet.text(mac)}.")
    return mac


def _times(walk: Walk, ns: NamespaceView, dev: Link, next_hop: bytes, base: str) -> int:
    """How often the kernel asks when nobody answers (neigh_timer_handler, neigh_probe)."""
    if len(next_hop) == 16 and (ns.id, dev.ifindex, next_hop) in walk.memory.get("failed-neighbours", ()):
        from pktdiag.walk import ndisc

        if not ndisc.asks_without_packet(ns, dev):
            return 1  # the first question had a packet, which is purged by now (QUEUE_PURGE)
    return _probes(ns, dev, base) or 1


def _probes(ns: NamespaceView, dev: Link, base: str) -> int:
    return int(ns.sysctl(f"net/{base}/neigh/{dev.name}/mcast_solicit") or 3)


def _patience(ns: NamespaceView, dev: Link, base: str) -> float:
    """Seconds until the kernel gives up: one retransmission time per multicast probe (neigh_timer_handler)."""
    return _probes(ns, dev, base) * int(ns.sysctl(f"net/{base}/neigh/{dev.name}/retrans_time_ms") or 1000) / 1000


def proxy_in_time(walk: Walk, ns: NamespaceView, dev: Link, base: str, target: bytes) -> bool:
    """pneigh_enqueue(): a proxy's answer waits for a random time below proxy_delay (1/100 s), unless that is 0."""
    delay = int(ns.sysctl(f"net/{base}/neigh/{dev.name}/proxy_delay") or 80) / 100
    if delay <= walk.memory.get("patience", 3.0):
        return True
    return walk.decide(Unknown(f"the proxy answer for {format_address(target)} on {dev.name}, delayed by up to {delay} s, comes in time"),
                       ("proxy-delay", ns.id, dev.ifindex, target))


def _ask_outside(walk: Walk, next_hop: bytes) -> None:
    """Where the question left this host, whether somebody out there answers cannot be read. If so, the answer comes back
    the same way, so that bridges learn from it."""
    from pktdiag.walk import arp, ndisc

    protocol = arp if len(next_hop) == 4 else ndisc
    what = "answers ARP" if len(next_hop) == 4 else "answers neighbour discovery"
    for number, (ns, dev, request) in enumerate(walk.memory.pop("left", ())):
        if walk.decide(Unknown(f"{format_address(next_hop)} {what} on {dev.name}"), ("outside", ns.id, dev.ifindex, next_hop)):
            protocol.answer_from_outside(walk, ns, dev, request, b"\x02\0\0\0\xfe" + bytes((number & 0xFF,)))
            walk.run_backlog()
            return


def _explanation(walk: Walk) -> Drop | None:
    """Why nobody answered, as far as this host is to blame: a dropped question or answer, or somebody who keeps silent."""
    ends: list[Drop] = [fate.drop for fate in walk.memory.get("silent-ends", ())
                        if fate.verdict in (DROPPED, REJECTED) and fate.drop is not None]
    by_rule = [drop for drop in ends if drop.rule is not None]
    if by_rule:
        return by_rule[0]
    notes = walk.memory.get("silent-notes", ())
    if notes:
        first: Drop = notes[0]
        return first
    return ends[0] if ends else None


def note(walk: Walk, ns: NamespaceView, dev: Link, text: str, cause: str) -> None:
    """Remembers why a question stays unanswered, a whole sentence, and who keeps silent."""
    walk.memory.setdefault("silent-notes", []).append(Drop("", "arp", ns.id, dev.name, None, (), text, cause=cause))


def _failed(walk: Walk, ns: NamespaceView, dev: Link, next_hop: bytes, skb: Skb) -> None:
    """neigh_invalidate() after three unanswered requests: an ICMP error to the sender (dst_link_failure)."""
    from pktdiag.walk import icmp

    found = entry(ns, dev, next_hop)
    if found is not None and not found.state & NUD_VALID and (ns.id, dev.ifindex, next_hop) in walk.memory.get("answers astray", ()):
        # Each error about the answers that wait in front may need this neighbour, too: it is asked for again and never done with.
        walk.unsure(ns, "neighbour", dev, skb, f"what waits for {format_address(next_hop)} in front of it: answers to neighbour discovery "
                    "that a rule has given another destination")
        return
    v4 = len(next_hop) == 4
    readable = True
    if skb.packet.ip_options:
        from pktdiag.walk import ip_options

        readable = ip_options.compiled_again(skb)
    sent = readable and icmp.error(walk, ns, skb, *((3, 1) if v4 else (1, 3)), dev=dev)
    what = "ARP requests" if v4 else "neighbour solicitations"
    why = skb.extra.get("unresolved")
    known_why = f" {why.text}" if isinstance(why, Drop) else ""
    rule = why.rule if isinstance(why, Drop) else None
    failed = walk.memory.setdefault("failed-neighbours", set())
    reason = "NEIGH_FAILED" if v4 else "NOT_SPECIFIED"  # ndisc_error_report() names none
    if (ns.id, dev.ifindex, next_hop) in failed and "waits with others" not in skb.extra:
        # The error about the first packet needs the same neighbour: it joins the queue neigh_invalidate() is about to purge.
        reason = "QUEUE_PURGE"
    failed.add((ns.id, dev.ifindex, next_hop))
    walk.drop(ns, "neighbour", dev, skb, reason,
              f"Nobody on {dev.name} answers the {what} for {format_address(next_hop)}.{known_why}",
              rule=rule, cause="neighbour-failed", because=why if isinstance(why, Drop) else None,
              answer=("icmp host-unreachable" if v4 else "icmpv6 addr-unreachable") if sent else None)
