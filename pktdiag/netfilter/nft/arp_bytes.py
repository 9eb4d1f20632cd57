"""An ARP packet as bytes. The walk hands over anything with the fields op, sender_mac, sender, target_mac and target."""

from __future__ import annotations

from struct import pack

from pktdiag.netfilter.context import Skb


def arp_image(skb: Skb) -> tuple[bytes, bytes]:
    """Header and addresses of an Ethernet/IPv4 ARP packet; fields the walk does not give are unknown."""
    arp = skb.arp
    parts = [pack(">HHBBH", 1, 0x0800, 6, 4, int(getattr(arp, "op", 1)))]
    unknown = [bytes(8)]
    for names, size in ((("sender_mac", "sha"), 6), (("sender", "spa", "sender_ip"), 4), (("target_mac", "tha"), 6),
                        (("target", "tpa", "target_ip"), 4)):
        value = next((found for found in (getattr(arp, name, None) for name in names) if isinstance(found, bytes)), None)
        known = value is not None and len(value) == size
        parts.append(value if known and value is not None else bytes(size))
        unknown.append(bytes(size) if known else b"\xff" * size)
    return b"".join(parts), b"".join(unknown)
