"""Hosts for the link layer's tests: small descriptions in the language of ``tests.kernel.host``."""

from __future__ import annotations

from typing import Any

Host = dict[str, Any]


def host(*parts: str, packets: list[dict[str, Any]]) -> Host:
    """Each part is ``NS: line``; a line starting with ``sysctl``, ``nft``, ``xt``, ``bridge`` or ``listen`` says so, others are ``ip``'s."""
    items: list[dict[str, Any]] = []
    for name in dict.fromkeys(part.partition(":")[0] for part in parts):
        items.append({"do": "netns", "ns": name})
    for part in parts:
        ns, _, line = part.partition(": ")
        word, _, rest = line.partition(" ")
        if word == "sysctl":
            path, _, value = rest.partition("=")
            items.append({"do": "sysctl", "ns": ns, "path": path, "value": value})
        elif word == "nft":
            items.append({"do": "nft", "ns": ns, "line": rest})
        elif word == "bridge":
            items.append({"do": "bridge", "ns": ns, "line": rest})
        elif word == "xt":
            tool, table, rule = rest.split(" ", 2)
            items.append({"do": "xt", "ns": ns, "tool": tool, "table": table, "line": rule})
        elif word == "listen":
            proto, address, port = rest.split(" ")
            items.append({"do": "listen", "ns": ns, "proto": proto, "addr": address, "port": int(port), "dev": ""})
        else:
            items.append({"do": "ip", "ns": ns, "line": line})
    return {"seed": "hand-made", "items": items, "packets": packets}


def udp(ns: str, dst: str, dport: int = 53, **more: Any) -> dict[str, Any]:
    return {"how": "socket", "ns": ns, "proto": "udp", "src": "", "dst": dst, "sport": 4000, "dport": dport, "ttl": 64, "tos": 0, "size": 60,
            "df": True, "mark": 0, "flags": 2, "dev": "", "dmac": "", "answer": True, **more}


def ping(ns: str, dst: str, **more: Any) -> dict[str, Any]:
    return {**udp(ns, dst), "proto": "icmp", "sport": 0, "dport": 0, **more}


def frame(ns: str, dev: str, dmac: str, src: str, dst: str, dport: int = 53, **more: Any) -> dict[str, Any]:
    return {**udp(ns, dst, dport), "how": "frame", "dev": dev, "dmac": dmac, "src": src, **more}


CABLE = (
    "a: link add e0 type veth peer name e0 netns NETNS(b)", "a: link set e0 up", "b: link set e0 up",
    "a: addr add 192.0.2.1/24 dev e0", "b: addr add 192.0.2.2/24 dev e0", "b: listen udp 0.0.0.0 53",
)

ROUTED = (
    "a: link add e0 type veth peer name ra netns NETNS(r)", "b: link add e0 type veth peer name rb netns NETNS(r)",
    "a: link set e0 up", "b: link set e0 up", "r: link set ra up", "r: link set rb up",
    "a: addr add 192.0.2.1/24 dev e0", "r: addr add 192.0.2.254/24 dev ra", "r: addr add 203.0.113.254/24 dev rb",
    "b: addr add 203.0.113.2/24 dev e0", "a: route add default via 192.0.2.254", "b: route add default via 203.0.113.254",
    "r: sysctl net/ipv4/ip_forward=1", "b: listen udp 0.0.0.0 53",
)

BRIDGED = (
    "h: link add br0 type bridge", "h: link set br0 up", "h: addr add 198.51.100.1/24 dev br0",
    "a: link add e0 type veth peer name va netns NETNS(h)", "b: link add e0 type veth peer name vb netns NETNS(h)",
    "c: link add e0 type veth peer name vc netns NETNS(h)",
    "h: link set va master br0 up", "h: link set vb master br0 up", "h: link set vc master br0 up",
    "a: link set e0 up", "a: addr add 198.51.100.11/24 dev e0", "a: route add default via 198.51.100.1",
    "b: link set e0 up", "b: addr add 198.51.100.12/24 dev e0", "b: route add default via 198.51.100.1",
    "c: link set e0 up", "c: addr add 198.51.100.13/24 dev e0",
    "b: listen udp 0.0.0.0 53", "h: listen udp 0.0.0.0 53",
)
"""Three namespaces on a bridge, as containers are."""
