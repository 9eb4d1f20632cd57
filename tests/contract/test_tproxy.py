"""TPROXY without the policy route it needs: what has a socket is not forwarded, and the fix printed brings the packet to that socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from .lab import Lab

pytestmark = pytest.mark.root
IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75
TARGETS = {"4": ("203.0.113.9", "203.0.113.9:7000"), "6": ("2001:db8:9::9", "[2001:db8:9::9]:7000")}


@pytest.fixture
def lab() -> Iterator[Lab]:
    """src --- proxy --- far: the proxy takes what src sends to far's network."""
    made = Lab("tproxy")
    try:
        made.netns("src", "proxy", "far")
        made.wire("src", "eth0", "proxy", "in0")
        made.wire("proxy", "out0", "far", "eth0")
        made.sh("src", "ip a add 198.51.100.1/24 dev eth0; ip r add default via 198.51.100.2; ip a add 2001:db8:1::1/64 dev eth0 nodad; "
                "ip -6 r add default via 2001:db8:1::2")
        made.sh("proxy", "ip a add 198.51.100.2/24 dev in0; ip a add 203.0.113.1/24 dev out0; ip a add 2001:db8:1::2/64 dev in0 nodad; "
                "ip a add 2001:db8:9::1/64 dev out0 nodad; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
        made.sh("far", "ip a add 203.0.113.9/24 dev eth0; ip r add default via 203.0.113.1; ip a add 2001:db8:9::9/64 dev eth0 nodad; "
                "ip -6 r add default via 2001:db8:9::1")
        for address, level, option in (("0.0.0.0", socket.IPPROTO_IP, IP_TRANSPARENT), ("::", socket.IPPROTO_IPV6, IPV6_TRANSPARENT)):
            for proto in ("tcp", "udp"):
                made.listen("proxy", proto, address, 5000).sock.setsockopt(level, option, 1)
        yield made
    finally:
        made.close()


def spec(family: str, proto: str) -> dict[str, object]:
    return {"how": "socket", "ns": "src", "src": "198.51.100.1" if family == "4" else "2001:db8:1::1", "dst": TARGETS[family][0], "sport": 4000,
            "dport": 7000, "proto": proto}


@pytest.mark.parametrize("proto", ("tcp", "udp"))
@pytest.mark.parametrize("family", TARGETS)
@pytest.mark.parametrize("backend", ("nft", "iptables-nft", "iptables-legacy"))
def test_the_fix_delivers_it_to_the_proxy(lab: Lab, backend: str, family: str, proto: str) -> None:
    if backend == "nft":
        lab.sh("proxy", "nft add table inet p; nft 'add chain inet p c { type filter hook prerouting priority mangle; }'; "
               f"nft add rule inet p c {proto} dport 7000 tproxy to :5000 meta mark set 0x1")
    else:
        tool = backend if family == "4" else backend.replace("iptables", "ip6tables")
        lab.sh("proxy", f"{tool} -t mangle -A PREROUTING -p {proto} --dport 7000 -j TPROXY --on-port 5000 --tproxy-mark 0x1/0x1")
    words = ("198.51.100.1:4000" if family == "4" else "[2001:db8:1::1]:4000", f"{TARGETS[family][1]}/{proto}")
    answer = lab.judge("src", words, spec(family, proto))
    assert answer["verdict"] == "dropped" and answer["request"]["drop"]["stage"] == "forward"
    assert answer["request"]["packet"]["mark"] == 1 and "no policy route" in answer["summary"]
    (fix,) = answer["fixes"]
    assert fix["verified"] == (proto == "tcp") and len(fix["commands"]) == 2  # UDP answers come from the proxy's own port
    for command in fix["commands"]:
        lab.sh("src", command)
    if proto == "tcp":
        answer = lab.judge("src", words, spec(family, proto))
        assert answer["verdict"] == "delivered" and answer["request"]["receiver"]["netns"] == lab.places["proxy"].id
        return
    answer, truth = lab.ask("src", *words), lab.send(spec(family, proto))
    assert [receiver.ns for receiver in truth.receivers] == ["proxy"] and answer["request"]["receiver"]["netns"] == lab.places["proxy"].id
    # The proxy answers from its own port: whether the sender takes that is the sender's business.
    assert answer["reply"]["verdict"] == "depends" and {end["verdict"] for end in answer["reply"]["outcomes"]} == {"delivered", "rejected"}
    assert "is connected to" in answer["reply"]["outcomes"][0]["condition"]
    told = [(sight["device"], sight["src"], sight["sport"], sight["dport"]) for sight in answer["reply"]["sightings"]]
    assert told == [(seen.device, seen.src, seen.sport, seen.dport) for seen in truth.last if seen.kind == "answer"]


def test_a_policy_rule_whose_table_is_empty(lab: Lab) -> None:
    """Half of it is there: the other half is named, in the table that is asked; another selector's table is not."""
    lab.sh("proxy", "nft add table inet p; nft 'add chain inet p c { type filter hook prerouting priority mangle; }'; "
           "nft add rule inet p c tcp dport 7000 tproxy to :5000 meta mark set 0x1; "
           "ip rule add fwmark 1 sport 99 lookup 66; ip rule add fwmark 1/1 lookup 77")
    words = ("198.51.100.1:4000", f"{TARGETS['4'][1]}/tcp")
    (fix,) = lab.judge("src", words, spec("4", "tcp"))["fixes"]
    assert fix["verified"] and [command.split(" ip ")[-1] for command in fix["commands"]] == ["route add local default dev lo table 77"]
    lab.sh("src", fix["commands"][0])
    assert lab.judge("src", words, spec("4", "tcp"))["verdict"] == "delivered"


def test_a_rule_without_a_mark(lab: Lab) -> None:
    """Nothing to make a policy rule of: that is said, and not claimed to be proved. A host that does not forward says the same."""
    lab.sh("proxy", "nft add table inet p; nft 'add chain inet p c { type filter hook prerouting priority mangle; }'; "
           "nft add rule inet p c meta l4proto udp tproxy to :5000")
    for forwarding in ("1", "0"):
        lab.sh("proxy", f"sysctl -qw net.ipv4.ip_forward={forwarding}")
        answer = lab.judge("src", ("198.51.100.1:4000", f"{TARGETS['4'][1]}/udp"), spec("4", "udp"))
        assert "no policy route" in answer["summary"]
        (fix,) = answer["fixes"]
        assert not fix["verified"] and "set a mark" in fix["why"]
