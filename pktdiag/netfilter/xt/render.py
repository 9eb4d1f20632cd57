"""A rule's text as iptables-save and ip6tables-save write it.

The order and the spelling are libiptc's and libxtables' (iptables 1.8.9: iptables/iptables-save, extensions/): the tool's
output is the test oracle. ``Prefix`` is the part every rule has, neutral, so that a natively decoded nft rule can use it too.
"""

from __future__ import annotations

from pktdiag.model.kernel import NFPROTO_ARP
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.xt.base import interface_text, mask_length
from pktdiag.netfilter.xt.blob import Chain, Head, Rule, Table

PROTOCOLS = {
    1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 8: "egp", 9: "igp", 12: "pup", 17: "udp", 20: "hmp",
    22: "xns-idp", 27: "rdp", 29: "iso-tp4", 33: "dccp", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 41: "ipv6",
    43: "ipv6-route", 44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", 57: "skip", 58: "ipv6-icmp",
    59: "ipv6-nonxt", 60: "ipv6-opts", 73: "rspf", 81: "vmtp", 88: "eigrp", 89: "ospf", 93: "ax.25", 94: "ipip",
    97: "etherip", 98: "encap", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp", 124: "isis", 132: "sctp", 133: "fc",
    135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip", 140: "shim6", 141: "wesp",
    142: "rohc", 143: "ethernet",
}
"""Names as Debian's /etc/protocols gives them; the tools ask that file first."""

INV_VIA_IN, INV_VIA_OUT, INV_SRCIP, INV_DSTIP, INV_FRAG, INV_PROTO = 0x01, 0x02, 0x08, 0x10, 0x20, 0x40


class Prefix(NamedTuple):
    """What a rule asks for before any match. Masks as wide as their address; interfaces as the user writes them (``eth+``)."""

    src: tuple[bytes, bytes] | None = None
    src_inv: bool = False
    dst: tuple[bytes, bytes] | None = None
    dst_inv: bool = False
    iniface: str = ""
    iniface_inv: bool = False
    outiface: str = ""
    outiface_inv: bool = False
    proto: int = 0
    """0: any."""
    proto_inv: bool = False
    frag: bool = False
    """-f: second and further fragments."""
    frag_inv: bool = False


def prefix_of(head: Head) -> Prefix:
    """A legacy entry's head."""
    inv = head.invflags
    return Prefix(
        (head.src, head.src_mask) if any(head.src_mask) or inv & INV_SRCIP else None, bool(inv & INV_SRCIP),
        (head.dst, head.dst_mask) if any(head.dst_mask) or inv & INV_DSTIP else None, bool(inv & INV_DSTIP),
        interface_text(head.iniface, head.iniface_mask) if head.iniface_mask[0] else "", bool(inv & INV_VIA_IN),
        interface_text(head.outiface, head.outiface_mask) if head.outiface_mask[0] else "", bool(inv & INV_VIA_OUT),
        head.proto, bool(inv & INV_PROTO), head.frag, bool(inv & INV_FRAG))


def protocol_name(proto: int) -> str:
    return PROTOCOLS.get(proto) or str(proto)


def _network(address: bytes, mask: bytes) -> str:
    length = mask_length(mask)
    return f"{format_address(address)}/{format_address(mask) if length is None else length}"


def prefix_clauses(prefix: Prefix) -> list[tuple[str, str]]:
    """(option, text) of every part given, in iptables-save's order: ``("-s", "-s 192.0.2.0/24")``, ``("-i", "! -i eth0")``."""
    clauses: list[tuple[str, str]] = []
    if prefix.src is not None:
        clauses.append(("-s", f"{'! ' if prefix.src_inv else ''}-s {_network(*prefix.src)}"))
    if prefix.dst is not None:
        clauses.append(("-d", f"{'! ' if prefix.dst_inv else ''}-d {_network(*prefix.dst)}"))
    if prefix.iniface:
        clauses.append(("-i", f"{'! ' if prefix.iniface_inv else ''}-i {prefix.iniface}"))
    if prefix.outiface:
        clauses.append(("-o", f"{'! ' if prefix.outiface_inv else ''}-o {prefix.outiface}"))
    if prefix.proto:
        clauses.append(("-p", f"{'! ' if prefix.proto_inv else ''}-p {protocol_name(prefix.proto)}"))
    if prefix.frag:
        clauses.append(("-f", f"{'! ' if prefix.frag_inv else ''}-f"))
    return clauses


def render_prefix(prefix: Prefix) -> str:
    """``-s 192.0.2.0/24 ! -i eth0 -p tcp``, or empty."""
    return " ".join(text for _, text in prefix_clauses(prefix))


def render_verdict(table: Table, rule: Rule, ns: NamespaceView | None = None) -> str:
    """``-j DROP``, ``-g CHAIN``, or empty where the rule has no target."""
    from pktdiag.netfilter.xt.blob import VERDICTS
    from pktdiag.netfilter.xt.compat import render_target

    if rule.verdict is None:
        return render_target(*rule.target, table.family, ns)
    if rule.verdict < 0:
        return f"-j {VERDICTS.get(rule.verdict, str(rule.verdict))}"
    if rule.no_target:
        return ""
    return f"-{'g' if rule.goto else 'j'} {table.chain_starting_at(rule.verdict)}"




def head_clauses(table: Table, rule: Rule) -> list[tuple[str, str]]:
    if table.family == NFPROTO_ARP:
        from pktdiag.netfilter.xt.arp import arp_clauses

        return arp_clauses(rule.head)
    return prefix_clauses(prefix_of(rule.head))


def render_rule(table: Table, chain: str, rule: Rule, ns: NamespaceView | None = None) -> str:
    """``-A FORWARD -i eth0 -p tcp -m tcp --dport 80 -j DROP``."""
    from pktdiag.netfilter.xt.compat import render_match

    parts = [f"-A {chain}", *(text for _, text in head_clauses(table, rule)),
             *(render_match(*item, table.family, ns) for item in rule.matches), render_verdict(table, rule, ns)]
    return " ".join(part for part in parts if part)


def render_chain_line(chain: Chain) -> str:
    """``:FORWARD DROP [1:60]``."""
    return f":{chain.name} {chain.policy or '-'} [{chain.packets}:{chain.bytes}]"


def render_table(table: Table, ns: NamespaceView | None = None) -> list[str]:
    """The table as ``iptables-save -t TABLE`` without comments, ``*filter`` to ``COMMIT``."""
    chains = table.chains()
    lines = [f"*{table.name}"]
    lines += [render_chain_line(chain) for chain in chains.values()]
    lines += [render_rule(table, chain.name, rule, ns) for chain in chains.values() for rule in chain.rules]
    return [*lines, "COMMIT"]


