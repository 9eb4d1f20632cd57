"""A reject at a device's ingress: of the inet family it is an answer like any other, of the netdev family a frame thrown back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab

pytestmark = pytest.mark.root
ENDS = {"ip": ("198.51.100.1", "198.51.100.2"), "ip6": ("2001:db8:1::1", "2001:db8:1::2")}


@pytest.fixture(params=("inet", "netdev"))
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = Lab("ingress")
    try:
        made.pair()
        made.sh("dst", f"nft add table {request.param} t; nft 'add chain {request.param} t c {{ type filter hook ingress device eth0 priority 0; }}'; "
                + "".join(f"nft add rule {request.param} t c {match} dport 7000 counter {verdict}; "
                          for match, verdict in (("udp", "reject"), ("tcp", "reject with tcp reset"))))
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("proto", ("udp", "tcp"))
@pytest.mark.parametrize("family", ("ip", "ip6"))
def test_who_sees_the_answer(lab: Lab, family: str, proto: str) -> None:
    src, dst = ENDS[family]
    words = (f"[{src}]:4000" if ":" in src else f"{src}:4000", f"[{dst}]:7000/{proto}" if ":" in dst else f"{dst}:7000/{proto}")
    spec = {"how": "socket", "ns": "src", "src": src, "dst": dst, "sport": 4000, "dport": 7000, "proto": proto}
    inet = "table inet" in lab.sh("dst", "nft list tables")
    assert lab.judge("src", words, spec)["reply"]["verdict"] == "delivered"
    lab.sh("dst", "nft add table inet o; nft 'add chain inet o c { type filter hook output priority 0; }'; "
           "nft add rule inet o c meta l4proto { tcp, icmp } counter drop; nft add rule inet o c icmpv6 type destination-unreachable counter drop")
    assert lab.judge("src", words, spec)["reply"]["verdict"] == ("dropped" if inet else "delivered")


def test_nowhere_to_answer_to(lab: Lab) -> None:
    """An asker this host has no way to: inet's answer is not made, netdev's goes back where the frame came from."""
    mac = lab.sh("dst", "cat /sys/class/net/eth0/address").strip()
    lab.sh("src", "ip a add 192.0.2.7/24 dev eth0")
    spec = {"how": "frame", "ns": "src", "dev": "eth0", "dmac": mac, "src": "192.0.2.7", "dst": "198.51.100.2", "sport": 4000, "dport": 7000, "proto": "udp"}
    answer = lab.judge("dst", ("192.0.2.7:4000", "198.51.100.2:7000/udp", "--in", "eth0"), spec)
    assert answer["verdict"] == ("dropped" if "table inet" in lab.sh("dst", "nft list tables") else "rejected")
