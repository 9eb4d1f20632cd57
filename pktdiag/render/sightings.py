"""Sightings as ready tcpdump commands."""

from __future__ import annotations

from pktdiag.model.kernel import PROTO_NAMES
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.trace import Sighting
from pktdiag.render.places import Places, place_of, shell_word

CAPABILITIES = "CAP_NET_RAW"
CAPABILITIES_ELSEWHERE = "CAP_NET_RAW, and CAP_SYS_ADMIN to enter the namespace"
_PCAP_NAMES = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 50: "esp", 51: "ah", 58: "icmp6", 132: "sctp"}


def tcpdump(sighting: Sighting, places: Places) -> str:
    """The command that shows this packet on this device. The filter names addresses and the server's port only: the
    client's port is often an example (pcap-filter(7))."""
    enter = place_of(places, sighting.netns).enter
    prefix = enter.rstrip() + " " if enter else ""
    return f"{prefix}tcpdump -n -i {shell_word(sighting.device)} '{pcap_filter(sighting.packet)}'"


def pcap_filter(packet: Packet) -> str:
    """Matches the packet and its answers."""
    words = [_PCAP_NAMES.get(packet.proto, f"{'ip6' if len(packet.dst) == 16 else 'ip'} proto {packet.proto}")]
    for address in dict.fromkeys((packet.src, packet.dst)):
        if any(address):
            words.append(f"host {format_address(address)}")
    ports = [port for name, port in (("sport", packet.sport), ("dport", packet.dport)) if port and name not in packet.unknown]
    if packet.has_ports and ports and not packet.more_fragments:  # the later ones have none
        words.append(f"port {min(ports)}")
    return " and ".join(words)


def capabilities(sighting: Sighting, places: Places) -> str:
    """What running the command takes."""
    return CAPABILITIES_ELSEWHERE if place_of(places, sighting.netns).enter else CAPABILITIES


def described(packet: Packet) -> str:
    """``udp 10.0.0.1:1 > 10.0.0.2:2``; an ICMP error or echo by its type; of a fragment, which part of its datagram it is."""
    text = packet.describe()
    if packet.is_icmp:
        name = PROTO_NAMES[packet.proto]
        text = text.replace(name, f"{name} {packet.icmp_type}/{packet.icmp_code}" if not packet.fragment_offset else name, 1)
    if packet.is_fragment:
        begin = packet.fragment_offset
        text += f", bytes {begin} to {begin + packet.length - packet.header_length - 1} of its datagram"
    return text
