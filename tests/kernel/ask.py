"""Turns a described packet into the question the walk is asked."""

from __future__ import annotations

import socket

from pktdiag.model.packet import Packet, parse_address
from pktdiag.model.question import Question

from . import headers
from .build import Built
from .rare import PAYLOAD_AT
from .send import PORTED, Sender, icmp_kind, ip_length, tcp_options, transport


def question(built: Built, sender: Sender) -> Question:
    """The Question for the packet ``sender`` is about to send."""
    spec, tag = sender.spec, sender.tag
    dst = parse_address(spec["dst"])
    src = parse_address(spec["src"]) if spec.get("src") else bytes(len(dst))
    ports = tag.proto in (6, 17) or (bool(spec.get("known")) and tag.proto in PORTED)
    icmp = icmp_kind(spec)
    echo = tag.proto in (1, 58)
    packet = Packet(
        src=src, dst=dst, proto=tag.proto, sport=spec["sport"] if ports else 0, dport=spec["dport"] if ports else 0,
        ttl=spec.get("ttl", 64), tos=spec.get("tos", 0), length=ip_length(spec), df=spec.get("df", True),
        tcp_flags=tag.flags if tag.proto == 6 else 2, icmp_type=icmp[0] if echo else 0, icmp_code=icmp[1] if echo else 0,
        icmp_id=(spec.get("sport", 0) or 77) if echo else 0)
    if spec.get("known"):
        packet = _told(packet, sender)
    if spec.get("ext") or spec.get("ipopts") or spec.get("frag"):
        packet = _dressed(packet, sender)
    if spec["how"] == "frame":
        with built.namespaces[spec["ns"]].inside():
            ingress, far = peer(built, spec["ns"], spec["dev"])
        return Question(netns=built.namespaces[far].id, packet=packet, ingress=ingress,
                        src_mac=bytes.fromhex((spec.get("smac") or "02:00:5e:00:00:99").replace(":", "")),
                        dst_mac=bytes.fromhex(spec["dmac"].replace(":", "")), vlan=spec.get("vlan"))
    oif = built.ifindex(spec["ns"], spec["dev"]) if spec.get("dev") else 0
    return Question(netns=built.namespaces[spec["ns"]].id, packet=packet, mark=spec.get("mark", 0), oif=oif,
                    header_included=spec["how"] == "raw", broadcast=bool(spec.get("broadcast")))


def _dressed(packet: Packet, sender: Sender) -> Packet:
    """With options, extension headers, or as a fragment."""
    spec, tag = sender.spec, sender.tag
    offset, more, _ = spec.get("frag") or (0, 0, 0)
    number = int.from_bytes(tag.token[3:7], "big") & 0xFFFF or 1
    packet = packet._replace(fragment_offset=offset, more_fragments=bool(more))
    if offset:
        packet = packet._replace(sport=0, dport=0, icmp_type=0, icmp_code=0, icmp_id=0, tcp_flags=0, tcp_options=b"",
                                 payload=transport(spec, tag, packet.src, packet.dst))
    if len(packet.dst) == 16:
        return packet._replace(ext_headers=headers.chain(spec, number))
    return packet._replace(ip_options=headers.options(spec))


def _told(packet: Packet, sender: Sender) -> Packet:
    """With every byte that we make ourselves; what the kernel's own TCP puts into its options stays unknown."""
    spec, tag = sender.spec, sender.tag
    own = spec["how"] != "socket"
    if tag.proto == 6 and not own:
        return packet._replace(unknown=packet.unknown | {"tcp_options"})
    options = tcp_options(spec, tag)
    body = transport(spec, tag, packet.src, packet.dst)
    header = {6: 20 + len(options), 17: 8, 1: 8, 58: 8, **PAYLOAD_AT}.get(tag.proto, 0)
    gone = {"payload", "flow_label"} if own else {"payload"}
    return packet._replace(payload=body[header:], tcp_options=options, unknown=packet.unknown - gone)


def peer(built: Built, ns: str, device: str) -> tuple[int, str]:
    """(ifindex, namespace name) of the other end of a veth, by its "link add … type veth peer name X … netns NETNS(y)"."""
    for item in built.host["items"]:
        if item["do"] != "ip" or " type veth peer name " not in item["line"]:
            continue
        words = item["line"].split()
        near, far = words[2], words[words.index("peer") + 2]
        far_ns = words[-1][6:-1] if words[-1].startswith("NETNS(") else item["ns"]
        for (a, a_ns), (b, b_ns) in (((near, item["ns"]), (far, far_ns)), ((far, far_ns), (near, item["ns"]))):
            if (a, a_ns) == (device, ns):
                with built.namespaces[b_ns].inside():
                    return socket.if_nametoindex(b), b_ns
    raise ValueError(f"{device} of {ns} is no veth")
