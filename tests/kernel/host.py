"""A host and its packets as plain data: what the generator invents, the shrinker cuts down and a regression file keeps.

A host is ``{"seed": …, "items": [ITEM, …], "packets": [PACKET, …]}``; every ITEM is one removable statement::

    {"do": "netns",   "ns": "a"}
    {"do": "ip",      "ns": "a", "line": "link add …"}          one line of ``ip -batch``; NETNS(b) names another namespace
    {"do": "sysctl",  "ns": "a", "path": "net/ipv4/ip_forward", "value": "1"}
    {"do": "listen",  "ns": "a", "proto": "udp", "addr": "0.0.0.0", "port": 53, "dev": ""}
    {"do": "nft",     "ns": "a", "line": "add rule ip t c …"}   one line of ``nft -f``; "early": true, before any device is made
    {"do": "xt",      "ns": "a", "tool": "iptables-nft", "table": "filter", "line": "-A INPUT …"}
    {"do": "ipset",   "ns": "a", "line": "create …"}
    {"do": "bridge",  "ns": "a", "line": "fdb add …"}           one line of ``bridge -batch``

and every PACKET one packet to send, in order (conntrack and neighbours remember)::

    {"how": "socket" | "raw" | "frame", "ns": "a", "proto": "udp"|"tcp"|"icmp"|<number>, "src": "", "dst": "203.0.113.1",
     "sport": 1000, "dport": 53, "ttl": 64, "tos": 0, "size": 60, "df": true, "mark": 0, "flags": 2, "icmp": [8, 0],
     "dev": "e0" (frame: sent out of this device of ns, so that the other end gets it; socket: SO_BINDTODEVICE),
     "dmac": "" (frame; "": the other end's), "answer": true}
"""

from __future__ import annotations

import shlex
from typing import Any

Item = dict[str, Any]
Host = dict[str, Any]

PHASES = ("netns", "ip", "bridge", "sysctl", "ipset", "xt", "nft", "listen")


def namespaces(host: Host) -> list[str]:
    return [item["ns"] for item in host["items"] if item["do"] == "netns"]


def of(host: Host, do: str, ns: str) -> list[Item]:
    return [item for item in host["items"] if item["do"] == do and item["ns"] == ns]


def restore_text(items: list[Item]) -> str:
    """The text of one iptables-restore run for items of one tool."""
    lines: list[str] = []
    for table in dict.fromkeys(item["table"] for item in items):
        lines.append(f"*{table}")
        mine = [item["line"] for item in items if item["table"] == table]
        lines += [line for line in mine if line.startswith(":")]
        lines += [line for line in mine if not line.startswith(":")]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def shell_script(host: Host) -> str:
    """The host as a shell script that anybody can run as root (in ``unshare -nm``), with the packets as comments."""
    out = ["#!/bin/sh", "# unshare -nm sh THIS", "mount -t tmpfs none /run/netns"]
    names = namespaces(host)
    out += [f"ip netns add {name}" for name in names]
    for item in host["items"]:
        ns, do = item["ns"], item["do"]
        if do in ("ip", "bridge"):
            line = item["line"]
            for name in names:
                line = line.replace(f"NETNS({name})", name)
            out.append(f"{do} -n {ns} {line}")
        elif do == "sysctl":
            out.append(f"ip netns exec {ns} sysctl -qw {item['path'].replace('.', '%').replace('/', '.').replace('%', '/')}"
                       f"={shlex.quote(item['value'])}")
        elif do == "ipset":
            out.append(f"ip netns exec {ns} ipset {item['line']}")
        elif do == "listen":
            out.append(f"# {ns}: a {item['proto']} socket listens on {item['addr']}:{item['port']}"
                       + (f" bound to {item['dev']}" if item.get("dev") else ""))
    for ns in names:
        rules = of(host, "xt", ns)
        for tool in dict.fromkeys(item["tool"] for item in rules):
            text = restore_text([item for item in rules if item["tool"] == tool])
            out.append(f"ip netns exec {ns} {restore_tool(tool)} <<'END'\n{text}END")
        if lines := [item["line"] for item in of(host, "nft", ns)]:
            out.append(f"ip netns exec {ns} nft -f - <<'END'\n" + "\n".join(lines) + "\nEND")
    out += [f"# packet {i}: {packet}" for i, packet in enumerate(host["packets"])]
    return "\n".join(out) + "\n"


def restore_tool(tool: str) -> str:
    """"iptables-legacy" -> "iptables-legacy-restore", "ebtables-nft" -> "ebtables-nft-restore"."""
    return f"{tool}-restore"
