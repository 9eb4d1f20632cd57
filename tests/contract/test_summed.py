"""IPv6 headers that rules change behind connection tracking's sum: UDP takes the datagram for damaged, and the fix printed mends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab

pytestmark = pytest.mark.root
MAC = "02:00:00:00:bb:02"


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab("summed")
    try:
        made.netns("src", "dst")
        made.wire("src", "eth0", "dst", "eth0")
        made.sh("dst", f"ip link set eth0 address {MAC}; ip a add 2001:db8:3::2/64 dev eth0 nodad; ip -6 r add default via 2001:db8:3::1; "
                "ip n add 2001:db8:3::1 lladdr 02:00:00:00:aa:01 dev eth0 nud permanent; ip6tables-nft -A INPUT -m conntrack --ctstate INVALID")
        made.listen("dst", "udp", "::", 6999)
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("writer", (
    "ip6tables-nft -t mangle -A PREROUTING -j HL --hl-set 9", "ip6tables-legacy -t mangle -A PREROUTING -j DSCP --set-dscp 10",
    "ip6tables-nft -t mangle -A INPUT -j TOS --set-tos 0x10", "nft add rule ip6 w c ip6 dscp set ef", "nft add rule ip6 w c ip6 hoplimit set 30",
))
def test_a_header_changed_behind_the_sum(lab: Lab, writer: str) -> None:
    made = "nft add table ip6 w; nft 'add chain ip6 w c { type filter hook prerouting priority 10; }'; " if writer.startswith("nft") else ""
    lab.sh("dst", made + writer)
    words = ("[2001:db8:9::9]:4000", "[2001:db8:3::2]:6999/udp", "--in", "eth0", "--size", "200")
    spec = {"how": "frame", "ns": "src", "dev": "eth0", "dmac": MAC, "src": "2001:db8:9::9", "dst": "2001:db8:3::2", "sport": 4000, "dport": 6999,
            "proto": "udp", "size": 200}
    answer = lab.ask("dst", *words)
    assert answer["request"]["verdict"] == "depends"  # a device may have verified the checksum itself
    ends = {outcome["verdict"]: outcome for outcome in answer["request"]["outcomes"]}
    assert set(ends) == {"delivered", "dropped"} and ends["dropped"]["drop"]["reason"] == "UDP_CSUM"
    assert any("writes there" in fact for fact in answer["evidence"])
    truth = lab.send(spec)
    assert not truth.receivers and "UDP_CSUM" in truth.own
    assert truth.moved[lab.places["dst"].id]["Udp6InCsumErrors"] == 1
    commands = [command for fix in answer["fixes"] for command in fix["commands"] if "nf_conntrack_checksum" in command]
    assert commands == ["sysctl -w net.netfilter.nf_conntrack_checksum=0"]
    lab.sh("dst", commands[0])
    assert lab.judge("dst", words, spec)["request"]["verdict"] == "delivered"


def test_a_short_one_is_added_up_anew(lab: Lab) -> None:
    lab.sh("dst", "ip6tables-nft -t mangle -A PREROUTING -j HL --hl-set 9")
    spec = {"how": "frame", "ns": "src", "dev": "eth0", "dmac": MAC, "src": "2001:db8:9::9", "dst": "2001:db8:3::2", "sport": 4000, "dport": 6999, "proto": "udp"}
    for size, verdict in ((116, "delivered"), (117, "depends")):
        answer = lab.ask("dst", "[2001:db8:9::9]:4000", "[2001:db8:3::2]:6999/udp", "--in", "eth0", "--size", str(size))
        assert answer["request"]["verdict"] == verdict
        assert bool(lab.send({**spec, "size": size}).receivers) == (verdict == "delivered")
