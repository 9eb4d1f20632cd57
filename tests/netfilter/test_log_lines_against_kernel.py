"""LOG rules and packets with IPv4 options, IPv6 extension headers, fragments: the kernel log's lines are the ones foretold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pktdiag.model.packet import Arp, Packet
from pktdiag.model.question import Question
from pktdiag.model.trace import Trace
from pktdiag.netfilter.context import Skb
from pktdiag.netfilter.ebt_logline import line as ebtables_line
from pktdiag.netfilter.logline import line
from pktdiag.walk.api import trace
from tests import kmsg

from .nft.conftest import Lab, Router, router
from .nft.packets import frame, send
from .test_headers_against_kernel import DST, KNOWN, PACKETS, SRC

__all__ = ["router"]
pytestmark = pytest.mark.root

PREFIX = "pdh "
QUOTED = PACKETS["record route"]._replace(src=DST, dst=SRC, sport=53, dport=40000)
MORE = {
    "redirect": Packet(SRC, DST, 1, icmp_type=5, icmp_code=1, inner=QUOTED, length=20 + 8 + 40, unknown=KNOWN),
    "parameter problem": Packet(SRC, DST, 1, icmp_type=12, icmp_code=0, inner=QUOTED, length=20 + 8 + 40, unknown=KNOWN),
    "too big": Packet(PACKETS["plain"].src, PACKETS["plain"].dst, 58, icmp_type=2, icmp_code=0, length=40 + 8 + 56, unknown=KNOWN,
                      inner=PACKETS["plain"]._replace(src=PACKETS["plain"].dst, dst=PACKETS["plain"].src)),
    "unreachable behind headers": Packet(PACKETS["plain"].src, PACKETS["plain"].dst, 58, icmp_type=1, icmp_code=4, unknown=KNOWN,
                                         length=40 + 8 + 64, inner=PACKETS["dst"]._replace(src=PACKETS["plain"].dst, dst=PACKETS["plain"].src)),
    "gre": Packet(SRC, DST, 47, length=44, payload=bytes(24), unknown=KNOWN),
    "ah4": Packet(SRC, DST, 51, length=44, payload=bytes((17, 4, 0, 0, 0, 0, 0, 9)) + bytes(16), unknown=KNOWN),
    "esp4": Packet(SRC, DST, 50, length=44, payload=bytes((0, 0, 0, 7)) + bytes(20), unknown=KNOWN),
    "syn with options": Packet(SRC, DST, 6, 40001, 80, length=52, tcp_options=bytes.fromhex("020405b40101040201030307"), unknown=KNOWN),
}
ALL = {**PACKETS, **MORE}


@pytest.fixture(scope="module")
def logging(router: Router) -> Iterator[Router]:
    every = "--log-tcp-sequence --log-tcp-options --log-ip-options --log-uid --log-macdecode"
    for tool in ("iptables-legacy", "ip6tables-nft"):
        lines = [f"-A FORWARD -j LOG --log-level debug --log-prefix \"{PREFIX}xt{number} \" {options}" for number, options in
                 enumerate(("", every, "--log-ip-options"))]
        router.run(f"{tool}-restore", stdin="\n".join(("*mangle", *lines, "COMMIT")) + "\n")
    made = router.nft(f"""add table inet pdh
add chain inet pdh c {{ type filter hook prerouting priority -450; }}
add rule inet pdh c log prefix "{PREFIX}nft " level debug flags all
add chain inet pdh late {{ type filter hook forward priority 5; }}
add rule inet pdh late meta mark set 0x1f log prefix "{PREFIX}late " level debug flags ip options
""")
    assert not made, made
    with kmsg.logging_everywhere():
        yield router


def foretold(found: Trace) -> list[str]:
    return [step.detail["log"]["line"] for step in found.request.steps if step.detail and "log" in step.detail]  # type: ignore[index]


@pytest.mark.parametrize("name", ALL)
def test_lines(logging: Router, name: str) -> None:
    predicted = foretold(logging.asked(ALL[name]))
    assert predicted
    with kmsg.Tail(PREFIX) as log:
        logging.sent(ALL[name])
        kmsg.compare(log.wait(len(predicted)), predicted)


STATIONS = bytes.fromhex("020000000a01"), bytes.fromhex("020000000a02")
TAG = 0x6005


@pytest.fixture(scope="module")
def bridge() -> Iterator[Lab]:
    """client eth0 --- p0 br0 p1 --- eth0 server, in three namespaces; who is where has been learned."""
    made = Lab(("client", "router", "server"))
    try:
        middle = made.names["router"]
        for role in made.names:
            made.run("sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.all.disable_ipv6=1", role=role)
        made.ip(middle, "link add br0 type bridge", "link set br0 up")
        for port, role, address in (("p0", "client", STATIONS[0]), ("p1", "server", STATIONS[1])):
            made.ip(middle, f"link add {port} type veth peer name eth0 address {address.hex(':')} netns {made.names[role]}",
                    f"link set {port} master br0 up")
            made.ip(made.names[role], "link set eth0 up")
            made.run("bridge", "fdb", "add", address.hex(":"), "dev", port, "master", "static")
        for words in (("-t", "nat", "-A", "PREROUTING"), ("-A", "FORWARD", "--log-ip", "--log-ip6", "--log-arp")):
            made.run("ebtables-nft", *words, "--log-level", "debug", "--log-prefix", f"{PREFIX}ebt", "-j", "CONTINUE")
        said = made.nft(f"""add table bridge pdh
add chain bridge pdh c {{ type filter hook forward priority 7; }}
add rule bridge pdh c log prefix "{PREFIX}bridge " level debug flags all
add table netdev pdh
add chain netdev pdh i {{ type filter hook ingress device p0 priority 0; }}
add rule netdev pdh i log prefix "{PREFIX}ingress " level debug
""")
        assert not said, said
        with kmsg.logging_everywhere():
            yield made
    finally:
        made.close()


@pytest.mark.parametrize("tagged", (False, True), ids=("", "tagged"))
@pytest.mark.parametrize("name", ("plain4", "alert", "later fragment4", "syn with options", "redirect", "plain", "hbh padding", "middle fragment",
                                  "first fragment and dst", "esp", "gre"))
def test_lines_about_frames(bridge: Lab, name: str, tagged: bool) -> None:
    packet = ALL[name]
    view = bridge.view()
    vlan = TAG if tagged else None
    found = trace(bridge.host, Question(view.id, packet, view.link_named("p0").ifindex, *STATIONS, vlan=vlan, with_reply=False))
    predicted = foretold(found)
    assert len(predicted) == 4, found.request
    made = frame(packet, *STATIONS)
    with kmsg.Tail(PREFIX) as log:
        send(bridge.names["client"], "eth0", made[:12] + b"\x81\x00" + TAG.to_bytes(2, "big") + made[12:] if tagged else made)
        kmsg.compare(log.wait(len(predicted)), predicted)


def test_lines_about_arp(bridge: Lab) -> None:
    view = bridge.view()
    asking = Arp(1, STATIONS[0], SRC, bytes(6), DST)
    skb = Skb(Packet(SRC, DST, 0), 0)
    skb.arp, skb.ethertype, skb.src_mac, skb.dst_mac = asking, 0x0806, *STATIONS
    way: Any = SimpleNamespace(skb=skb, indev=view.link_named("p0"), outdev=view.link_named("p1"), ns=view)
    into: Any = SimpleNamespace(skb=skb, indev=way.indev, outdev=None, ns=view)
    body = struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, *asking[1:])
    with kmsg.Tail(PREFIX) as log:
        send(bridge.names["client"], "eth0", STATIONS[1] + STATIONS[0] + b"\x08\x06" + body)
        seen = log.wait(4)
    predicted = [ebtables_line(way, f"{PREFIX}ebt", 2), line(way, f"{PREFIX}bridge ", 0x3F), line(into, f"{PREFIX}ingress ", 0)]
    assert all(any(kmsg.same(each, one) for one in seen) for each in predicted), (seen, predicted)
