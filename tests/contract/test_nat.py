"""A container host: published ports, masquerade, hairpin, policies, with nft, iptables-nft and iptables-legacy, both families."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .lab import Lab, run

pytestmark = pytest.mark.root
PORTS = {"out": 31000, "web": 32000, "db": 33000, "host": 34000}


@pytest.fixture(scope="module", params=["nft", "iptables-nft", "iptables-legacy"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """out --- host --- br0[web, db]; web's udp 8000 and tcp 80 are published as 18000 and 1080; FORWARD drops by policy."""
    made = Lab("n" + {"nft": "nft", "iptables-nft": "xtn", "iptables-legacy": "xtl"}[request.param])
    try:
        made.netns("out", "host", "web", "db")
        made.wire("out", "eth0", "host", "eth0")
        made.wire("web", "eth0", "host", "v-web")
        made.wire("db", "eth0", "host", "v-db")
        made.sh("out", "ip a add 198.51.100.2/24 dev eth0; ip a add 198.51.100.3/24 dev eth0; ip a add 2001:db8:1::2/64 dev eth0 nodad; "
                "ip -6 r add default via 2001:db8:1::1; ip r add 172.30.0.0/24 via 198.51.100.1")
        made.sh("host", "ip link add br0 type bridge; ip link set v-web master br0; ip link set v-db master br0; "
                "bridge link set dev v-web hairpin on; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        made.up("host", "br0")
        made.sh("host", "ip a add 198.51.100.1/24 dev eth0; ip a add 2001:db8:1::1/64 dev eth0 nodad; ip a add 172.30.0.1/24 dev br0; "
                "ip a add fd00:30::1/64 dev br0 nodad")
        for name, last in (("web", 2), ("db", 3)):
            made.sh(name, f"ip a add 172.30.0.{last}/24 dev eth0; ip r add default via 172.30.0.1; ip a add fd00:30::{last}/64 dev eth0 nodad; "
                    f"ip -6 r add default via fd00:30::1")
        made.listen("web", "udp", "0.0.0.0", 8000)
        made.listen("web", "tcp", "0.0.0.0", 80)
        made.listen("web", "udp", "::", 8000)
        made.listen("web", "tcp", "::", 80)
        made.listen("out", "udp", "0.0.0.0", 53)
        made.listen("out", "udp", "::", 53)
        made.listen("host", "udp", "0.0.0.0", 5353)
        rules(made, request.param)
        yield made
    finally:
        made.close()


def rules(lab: Lab, backend: str) -> None:
    if backend == "nft":
        run("nsenter", f"--net=/run/netns/{lab.name('host')}", "nft", "-f", "-", stdin="".join(f"""
table {ip} pub {{
  chain pre {{ type nat hook prerouting priority dstnat; fib daddr type local jump ports; }}
  chain out {{ type nat hook output priority -100; {ip} daddr != {lo} fib daddr type local jump ports; }}
  chain ports {{
    udp dport 18000 counter dnat to {web8}
    tcp dport 1080 iifname != "br9" dnat to {web80}
    tcp dport 1081 redirect to :5353
  }}
  chain post {{ type nat hook postrouting priority srcnat;
    {ip} saddr {net} oifname != "br0" counter masquerade
    {ip} saddr {net} {ip} daddr {web} masquerade
  }}
  chain forwarding {{ type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "br0" udp dport 9 reject
    iifname "br0" oifname "eth0" accept
    iifname "br0" oifname "br0" accept
    ct status dnat accept
  }}
  chain incoming {{ type filter hook input priority filter; tcp dport 22 reject with tcp reset; udp dport 23 drop; udp dport 24 reject; }}
}}
""" for ip, lo, net, web, web8, web80 in (
            ("ip", "127.0.0.0/8", "172.30.0.0/24", "172.30.0.2", "172.30.0.2:8000", "172.30.0.2:80"),
            ("ip6", "::1", "fd00:30::/64", "fd00:30::2", "[fd00:30::2]:8000", "[fd00:30::2]:80"))))
        return
    for six, lo, net, web in (("", "127.0.0.0/8", "172.30.0.0/24", "172.30.0.2"), ("6", "::1/128", "fd00:30::/64", "fd00:30::2")):
        to = f"[{web}]" if six else web
        tool = backend.replace("iptables", f"ip{six}tables")
        run("nsenter", f"--net=/run/netns/{lab.name('host')}", f"{tool}-restore", stdin=f"""*nat
:PORTS - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j PORTS
-A OUTPUT ! -d {lo} -m addrtype --dst-type LOCAL -j PORTS
-A PORTS -p udp --dport 18000 -j DNAT --to-destination {to}:8000
-A PORTS ! -i br9 -p tcp -m tcp --dport 1080 -j DNAT --to-destination {to}:80
-A PORTS -p tcp --dport 1081 -j REDIRECT --to-ports 5353
-A POSTROUTING -s {net} ! -o br0 -j MASQUERADE
-A POSTROUTING -s {net} -d {web} -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i br0 -p udp --dport 9 -j REJECT
-A FORWARD -i br0 -o eth0 -j ACCEPT
-A FORWARD -i br0 -o br0 -j ACCEPT
-A FORWARD -m conntrack --ctstate DNAT -m comment --comment "published ports" -j ACCEPT
-A INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset
-A INPUT -p udp --dport 23 -j DROP
-A INPUT -p udp --dport 24 -j REJECT
COMMIT
""")


CASES = [
    ("out", "198.51.100.1", "udp", 18000, "delivered"), ("out", "198.51.100.1", "tcp", 1080, "delivered"),
    ("out", "198.51.100.1", "udp", 8000, "rejected"), ("out", "198.51.100.1", "tcp", 80, "rejected"),
    ("out", "172.30.0.2", "tcp", 80, "dropped"), ("out", "172.30.0.2", "icmp", None, "dropped"),
    ("out", "198.51.100.1", "tcp", 1081, "rejected"), ("out", "198.51.100.1", "udp", 5353, "delivered"),
    ("out", "198.51.100.1", "tcp", 22, "rejected"), ("out", "198.51.100.1", "udp", 23, "dropped"), ("out", "198.51.100.1", "udp", 24, "rejected"),
    ("web", "198.51.100.2", "udp", 53, "delivered"), ("web", "198.51.100.2", "udp", 54, "rejected"), ("web", "198.51.100.2", "icmp", None, "delivered"),
    ("web", "198.51.100.2", "udp", 9, "rejected"), ("web", "198.51.100.99", "tcp", 80, "rejected"),
    ("web", "198.51.100.1", "udp", 18000, "delivered"), ("web", "198.51.100.1", "tcp", 1080, "delivered"), ("db", "198.51.100.1", "udp", 18000, "delivered"),
    ("web", "203.0.113.9", "udp", 53, "rejected"), ("db", "172.30.0.2", "udp", 8000, "delivered"),
    ("host", "198.51.100.1", "udp", 18000, "delivered"), ("host", "172.30.0.1", "tcp", 1080, "delivered"), ("host", "127.0.0.1", "udp", 18000, "rejected"),
    ("host", "172.30.0.2", "udp", 8000, "delivered"), ("host", "127.0.0.1", "udp", 5353, "delivered"), ("host", "127.0.0.1", "tcp", 22, "rejected"),
    ("out", "2001:db8:1::1", "udp", 18000, "delivered"), ("out", "2001:db8:1::1", "tcp", 1080, "delivered"),
    ("out", "2001:db8:1::1", "udp", 8000, "rejected"), ("out", "2001:db8:1::1", "tcp", 22, "rejected"), ("out", "2001:db8:1::1", "udp", 24, "rejected"),
    ("out", "fd00:30::2", "tcp", 80, "dropped"), ("web", "2001:db8:1::2", "udp", 53, "delivered"), ("web", "2001:db8:1::2", "icmp", None, "delivered"),
    ("web", "2001:db8:1::2", "udp", 9, "rejected"), ("web", "2001:db8:1::1", "udp", 18000, "delivered"), ("db", "2001:db8:1::1", "tcp", 1080, "delivered"),
    ("host", "2001:db8:1::1", "udp", 18000, "delivered"), ("host", "fd00:30::2", "tcp", 80, "delivered"),
]


@pytest.mark.parametrize(("who", "to", "proto", "port", "verdict"), CASES)
def test_nat(lab: Lab, who: str, to: str, proto: str, port: int | None, verdict: str) -> None:
    document = ask(lab, who, to, proto, port)
    assert document["verdict"] == verdict, document["summary"]


def ask(lab: Lab, who: str, to: str, proto: str, port: int | None, options: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    sport = 0 if port is None else PORTS[who] + Lab.number
    shown = f"[{to}]" if ":" in to and port is not None else to
    words = (f"ns:{lab.name(who)}" + (f":{sport}" if sport else ""), shown + (f":{port}" if port else "") + f"/{proto}", *options)
    # Fixes are walked too, which takes its time: once is enough.
    return lab.judge("host", words, {"ns": who, "proto": proto, "dst": to, "sport": sport, "dport": port or 0, **more},
                     command="why-dropped" if lab.prefix.endswith("nnft") else "trace")


@pytest.mark.parametrize("state", ["permanent", "reachable"])
def test_a_neighbour_made_by_hand_has_no_header_until_it_is_used(lab: Lab, state: str) -> None:
    """br_netfilter takes a bridged packet with a DNAT past the bridge device once the neighbour's header is prepared."""
    mac = lab.sh("web", "cat /sys/class/net/eth0/address").strip()
    lab.sh("host", f"ip n del 172.30.0.2 dev br0 2>/dev/null || true; ip n add 172.30.0.2 lladdr {mac} dev br0 nud {state}; sleep 0.05")
    try:
        first = ask(lab, "db", "198.51.100.1", "udp", 18000)
        second = ask(lab, "db", "198.51.100.1", "udp", 18000)
    finally:
        lab.sh("host", "ip n del 172.30.0.2 dev br0")
    detour = [[(s["device"], s["direction"]) for s in document["request"]["sightings"] if s["netns"] == lab.places["host"].id]
              for document in (first, second)]
    assert detour == [[("v-db", "in"), ("br0", "out"), ("v-web", "out")], [("v-db", "in"), ("v-web", "out")]]


def test_a_stale_conntrack_entry_is_told(lab: Lab) -> None:
    """A flow that began before its DNAT rule keeps going where it went; the fix forgets it."""
    first = ask(lab, "out", "198.51.100.1", "udp", 7005)
    assert first["verdict"] == "rejected"
    sport = first["question"]["packet"]["sport"]
    lab.sh("host", "nft add table ip late; nft 'add chain ip late p { type nat hook prerouting priority -110; }'; "
           "nft 'add rule ip late p udp dport 7005 dnat to 172.30.0.2:8000'")
    try:
        words = (f"ns:{lab.name('out')}:{sport}", "198.51.100.1:7005/udp")
        spec = {"ns": "out", "proto": "udp", "dst": "198.51.100.1", "sport": sport, "dport": 7005}
        stale = lab.judge("host", words, spec)
        assert stale["verdict"] == "rejected"
        fix = next(fix for fix in stale["fixes"] if any("conntrack -D" in command for command in fix["commands"]))
        assert fix["verified"] is True
        for command in fix["commands"]:
            lab.sh("host", command)
        assert lab.judge("host", words, spec)["verdict"] == "delivered"
    finally:
        lab.sh("host", "nft delete table ip late; conntrack -F 2>/dev/null")
