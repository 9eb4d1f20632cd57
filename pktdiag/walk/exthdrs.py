"""IPv6 extension headers: hop-by-hop options in front of every hook, the others at local delivery, one after the other.

Sources: net/ipv6/exthdrs.c (ipv6_parse_hopopts, ip6_parse_tlv, ip6_tlvopt_unknown, ipv6_destopt_rcv, ipv6_rthdr_rcv, ipv6_srh_rcv),
net/ipv6/ip6_input.c (ip6_protocol_deliver_rcu), net/ipv6/reassembly.c (ipv6_frag_rcv). A router looks at none but the first.
"""

from __future__ import annotations

from pktdiag.model import exthdr
from pktdiag.model.exthdr import Header
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET6, IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT, IPPROTO_HOPOPTS, IPPROTO_NONE, IPPROTO_ROUTING
from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb, Unknown
from pktdiag.walk import addresses as addr
from pktdiag.walk import fragments, icmp
from pktdiag.walk.state import Walk

PAD1, PADN, ROUTER_ALERT, CALIPSO, IOAM, JUMBO, HOME_ADDRESS = 0, 1, 5, 7, 0x31, 0xC2, 0xC9
BAD_FIELD, UNKNOWN_NEXT_HEADER, UNKNOWN_OPTION = range(3)
"""Codes of the ICMPv6 parameter problem."""


class Fault(NamedTuple):
    """What is wrong with the options of a header."""

    reason: str
    text: str
    answer: tuple[int, int] | None = None
    """(code, pointer) of the parameter problem that is sent."""
    unsure: str = ""
    """It cannot be told; this says on what it depends."""


def hop_by_hop(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """ipv6_parse_hopopts(), in front of PRE_ROUTING. False: it ended."""
    first = exthdr.headers(skb.packet)[0]
    if first.number != IPPROTO_HOPOPTS:
        return True
    return _options(walk, ns, dev, skb, first, "ip-receive", "hop-by-hop")


def _options(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, header: Header, stage: str, kind: str) -> bool:
    limits = "hbh" if kind == "hop-by-hop" else "dst"
    if len(header.data) > int(ns.sysctl(f"net/ipv6/max_{limits}_length") or 0x7FFFFFFF):
        walk.drop(ns, stage, dev, skb, "NOT_SPECIFIED", f"The {kind} options are longer than net.ipv6.max_{limits}_length allows.",
                  counters=("Ip6InHdrErrors",) if limits == "hbh" else (), cause="bad-options")
        return False
    most = int(ns.sysctl(f"net/ipv6/max_{limits}_opts_number") or 8)
    fault = _fault(header, limits == "hbh", most, skb.packet.dst, bool(addr.conf(ns, AF_INET6, dev.name, "ioam6_enabled")))
    if fault is None:
        return True
    if fault.unsure:
        walk.unsure(ns, stage, dev, skb, fault.unsure)
        return False
    sent = False
    if fault.answer is not None:
        code, pointer = fault.answer
        sent = icmp.error(walk, ns, skb, 4, code, dev=dev, info=pointer,
                          to_groups=code == UNKNOWN_OPTION and header.data[pointer - header.offset] >> 6 == 2)
    walk.drop(ns, stage, dev, skb, fault.reason, f"Its {kind} options are not accepted: {fault.text}.", counters=("Ip6InHdrErrors",),
              cause="bad-options", answer="icmpv6 parameter-problem" if sent else None)
    return False


def _fault(header: Header, hop: bool, most: int, dst: bytes, ioam: bool) -> Fault | None:
    """ip6_parse_tlv(): at most seven bytes of padding in a row, of zeroes; a known option by its own rules, an unknown one by the two
    upper bits of its type. ``most``: how many options there may be; negative: unknown ones are not allowed at all."""
    data, at, padding, count = header.data, 2, 0, 0
    while at < len(data):
        kind = data[at]
        if kind == PAD1:
            padding += 1
            at += 1
            if padding > 7:
                return Fault("IP_INHDR", "more than seven bytes of padding")
            continue
        size = data[at + 1] + 2 if at + 1 < len(data) else 0
        if not size or at + size > len(data):
            return Fault("IP_INHDR", "an option is longer than its header")
        if kind == PADN:
            padding += size
            if padding > 7 or any(data[at + 2:at + size]):
                return Fault("IP_INHDR", "more than seven bytes of padding" if padding > 7 else "padding that is not zero")
        else:
            count += 1
            padding = 0
            if count > abs(most):
                return Fault("IP_INHDR", f"more than {abs(most)} options")
            found = _known(kind, data[at:at + size], header.offset + at, hop, ioam) if _is_known(kind, hop) else \
                _unknown(kind, header.offset + at, most < 0, dst)
            if found is not None:
                return found
        at += size
    return None


def _is_known(kind: int, hop: bool) -> bool:
    return kind in (ROUTER_ALERT, CALIPSO, IOAM, JUMBO) if hop else kind == HOME_ADDRESS


def _known(kind: int, option: bytes, place: int, hop: bool, ioam: bool) -> Fault | None:
    """ipv6_hop_ra(), ipv6_hop_ioam(), ipv6_hop_jumbo(); the others go by labels and states that are not read."""
    if kind == ROUTER_ALERT:
        return None if option[1] == 2 else Fault("IP_INHDR", "a router alert of the wrong length")
    if kind == IOAM:
        if place & 3:
            return Fault("IP_INHDR", "an IOAM option out of place")
        return Fault("", "", None, "what in-situ OAM writes into the packet, which is not modelled") if ioam else None
    if kind == JUMBO:
        if option[1] != 4 or place & 3 != 2:
            return Fault("IP_INHDR", "a jumbo payload option of the wrong length or place")
        wide = int.from_bytes(option[2:6], "big") > 0xFFFF
        return Fault("IP_INHDR", "a jumbo payload for a packet that is none", (BAD_FIELD, place if wide else place + 2))
    if kind == CALIPSO and (option[1] < 8 or option[6] * 4 + 8 > option[1]):
        return Fault("IP_INHDR", "a CALIPSO label of the wrong length")
    return Fault("", "", None, "what a security label (CALIPSO) in its options says" if hop else
                 "a home address option, which goes by the state of mobility and is not modelled")


def _unknown(kind: int, place: int, disallowed: bool, dst: bytes) -> Fault | None:
    """ip6_tlvopt_unknown(): skip, drop, drop and tell, drop and tell unless it was for many."""
    action = kind >> 6
    text = f"option type {kind} is unknown, and says that such packets be dropped"
    if disallowed:
        return Fault("UNHANDLED_PROTO", f"option type {kind} is unknown, and such are not allowed here")
    if not action:
        return None
    if action == 1 or (action == 3 and addr.is_multicast(dst)):
        return Fault("UNHANDLED_PROTO", text)
    return Fault("UNHANDLED_PROTO", text, (UNKNOWN_OPTION, place))


def taken_by_alert(walk: Walk, ns: NamespaceView, packet: Packet) -> bool:
    """ip6_call_ra_chain(): a raw socket (IPPROTO_RAW) that asked for this value (IPV6_ROUTER_ALERT); which ones did the kernel does not
    show. Called in ip6_forward()."""
    first = exthdr.headers(packet)[0]
    if first.number != IPPROTO_HOPOPTS or not _alert(first.data) or not any(255 in (s.lport, s.proto) for s in ns.sockets(255, AF_INET6)):
        return False
    return walk.decide(Unknown("a raw socket here asked for packets with such a router alert (IPV6_ROUTER_ALERT)"), ("ra6", ns.id))


def _alert(data: bytes) -> bool:
    at = 2
    while at < len(data):
        if data[at] == ROUTER_ALERT:
            return True
        at += 1 if data[at] == PAD1 else data[at + 1] + 2
    return False


def deliver(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """ip6_protocol_deliver_rcu(), as far as the headers in front of the transport protocol. False: it ended, or went elsewhere."""
    done = 0
    while True:
        links = exthdr.headers(skb.packet)
        if done >= len(links):
            break
        header = links[done]
        done += 1
        if header.number == IPPROTO_HOPOPTS and done == 1:
            continue
        if header.number == IPPROTO_DSTOPTS:
            if not _options(walk, ns, dev, skb, header, "socket", "destination"):
                return False
        elif header.number == IPPROTO_ROUTING:
            from pktdiag.walk import exthdr_routing

            if not exthdr_routing.receive(walk, ns, dev, skb, header, done - 1):
                return False
        elif header.number == IPPROTO_FRAGMENT:
            piece = skb.packet.is_fragment
            walk.count(ns, "Ip6ReasmReqds", *(() if piece else ("Ip6ReasmOKs",)))
            if skb.packet.more_fragments and (skb.packet.length - header.offset) % 8:
                return _uneven(walk, ns, dev, skb)
            if piece and not fragments.gathered(walk, ns, dev, skb, "socket"):
                return False
            done -= piece
        elif header.number == IPPROTO_AH:
            if walk.host.kernel_function("ah6", "ah6_rcv_cb") is False:
                return _no_handler(walk, ns, dev, skb, header.number)
            walk.unsure(ns, "socket", dev, skb, "what this host's handler of authentication headers (IPsec) does with it")
            return False
        else:
            return _no_handler(walk, ns, dev, skb, header.number)
    if skb.packet.proto == IPPROTO_NONE:
        walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", "No header follows the packet's extension headers: there is nothing to deliver.",
                  cause="no-payload")
        return False
    return True


def _uneven(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb) -> bool:
    """ip6_frag_queue(): only the last fragment may end where it likes."""
    sent = icmp.error(walk, ns, skb, 4, BAD_FIELD, dev=dev, info=4)
    walk.drop(ns, "socket", dev, skb, "NOT_SPECIFIED", "A fragment that is not the last has a length that is no multiple of eight.",
              counters=("Ip6InHdrErrors",), cause="bad-fragment", answer="icmpv6 parameter-problem" if sent else None)
    return False


def _no_handler(walk: Walk, ns: NamespaceView, dev: Link, skb: Skb, number: int) -> bool:
    """A header that may stand nowhere but in front (hop-by-hop), or for which the kernel has no code (AH)."""
    sent = icmp.error(walk, ns, skb, 4, UNKNOWN_NEXT_HEADER, dev=dev)
    walk.drop(ns, "socket", dev, skb, "IP_NOPROTO", f"Nothing here handles extension header {number} in that place.",
              counters=("Ip6InUnknownProtos",), cause="no-protocol", answer="icmpv6 parameter-problem" if sent else None)
    return False

