"""ICMP types by the names ebtables prints (iptables 1.8.9, extensions: xt_icmp.h)."""

from __future__ import annotations

_V4 = {
    (0, 0, 255): "echo-reply", (3, 0, 255): "destination-unreachable", (3, 0, 0): "network-unreachable", (3, 1, 1): "host-unreachable",
    (3, 2, 2): "protocol-unreachable", (3, 3, 3): "port-unreachable", (3, 4, 4): "fragmentation-needed", (3, 5, 5): "source-route-failed",
    (3, 6, 6): "network-unknown", (3, 7, 7): "host-unknown", (3, 9, 9): "network-prohibited", (3, 10, 10): "host-prohibited",
    (3, 11, 11): "TOS-network-unreachable", (3, 12, 12): "TOS-host-unreachable", (3, 13, 13): "communication-prohibited",
    (3, 14, 14): "host-precedence-violation", (3, 15, 15): "precedence-cutoff", (4, 0, 255): "source-quench", (5, 0, 255): "redirect",
    (5, 0, 0): "network-redirect", (5, 1, 1): "host-redirect", (5, 2, 2): "TOS-network-redirect", (5, 3, 3): "TOS-host-redirect",
    (8, 0, 255): "echo-request", (9, 0, 255): "router-advertisement", (10, 0, 255): "router-solicitation", (11, 0, 255): "time-exceeded",
    (11, 0, 0): "ttl-zero-during-transit", (11, 1, 1): "ttl-zero-during-reassembly", (12, 0, 255): "parameter-problem",
    (12, 0, 0): "ip-header-bad", (12, 1, 1): "required-option-missing", (13, 0, 255): "timestamp-request", (14, 0, 255): "timestamp-reply",
    (17, 0, 255): "address-mask-request", (18, 0, 255): "address-mask-reply",
}
_V6 = {
    (1, 0, 255): "destination-unreachable", (1, 0, 0): "no-route", (1, 1, 1): "communication-prohibited", (1, 2, 2): "beyond-scope",
    (1, 3, 3): "address-unreachable", (1, 4, 4): "port-unreachable", (1, 5, 5): "failed-policy", (1, 6, 6): "reject-route",
    (2, 0, 255): "packet-too-big", (3, 0, 255): "time-exceeded", (3, 0, 0): "ttl-zero-during-transit",
    (3, 1, 1): "ttl-zero-during-reassembly", (4, 0, 255): "parameter-problem", (4, 0, 0): "bad-header",
    (4, 1, 1): "unknown-header-type", (4, 2, 2): "unknown-option", (128, 0, 255): "echo-request", (129, 0, 255): "echo-reply",
    (133, 0, 255): "router-solicitation", (134, 0, 255): "router-advertisement", (135, 0, 255): "neighbour-solicitation",
    (136, 0, 255): "neighbour-advertisement", (137, 0, 255): "redirect",
}


def icmp_text(types: tuple[int, int], codes: tuple[int, int], v6: bool) -> str:
    """A name where one type and its codes have one, else ``TYPE[:TYPE]/CODE[:CODE]``."""
    if types[0] == types[1]:
        name = (_V6 if v6 else _V4).get((types[0], *codes))
        if name is not None:
            return name
    text = f"{types[0]}" if types[0] == types[1] else f"{types[0]}:{types[1]}"
    if codes == (0, 255):
        return text
    return f"{text}/{codes[0]}" if codes[0] == codes[1] else f"{text}/{codes[0]}:{codes[1]}"
