"""Source ports that the kernel draws at random: unknown wherever they are seen, known again where the answer is turned back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import Lab, pktdiag

pytestmark = pytest.mark.root
ROUTERS = {"iptables-nft": "iptables-nft -t nat -A POSTROUTING -j MASQUERADE --random-fully",
           "iptables-legacy": "iptables-legacy -t nat -A POSTROUTING -j MASQUERADE --random-fully",
           "nft": "nft add table ip n; nft 'add chain ip n p { type nat hook postrouting priority 100; }'; nft add rule ip n p masquerade random,fully-random"}


@pytest.fixture(params=ROUTERS)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """src --- one --- two --- dst, both in the middle masquerade."""
    made = Lab("drawn")
    try:
        made.netns("src", "one", "two", "dst")
        for number, (left, right) in enumerate((("src", "one"), ("one", "two"), ("two", "dst"))):
            made.wire(left, "right", right, "left")
            made.sh(left, f"ip a add 198.51.{100 + number}.1/24 dev right")
            made.sh(right, f"ip a add 198.51.{100 + number}.2/24 dev left")
        made.sh("src", "ip r add default via 198.51.100.2")
        made.sh("one", "sysctl -qw net.ipv4.ip_forward=1; ip r add default via 198.51.101.2; " + ROUTERS[request.param])
        made.sh("two", "sysctl -qw net.ipv4.ip_forward=1; " + ROUTERS[request.param])
        yield made
    finally:
        made.close()


def test_ports_drawn_twice(lab: Lab) -> None:
    words = ("198.51.100.1:4000", "198.51.102.2:7000/tcp")
    answer = lab.ask("src", *words)
    assert answer["verdict"] == "rejected"
    truth = lab.send({"how": "socket", "ns": "src", "src": "198.51.100.1", "dst": "198.51.102.2", "sport": 4000, "dport": 7000, "proto": "tcp"}, expected=6)
    names = {place.id: short for short, place in lab.places.items()}
    seen = iter(sight for sight in truth.last if sight.kind in ("request", "answer"))
    for leg, mine, other in ((answer["request"], "sport", "dport"), (answer["reply"], "dport", "sport")):
        assert len(leg["sightings"]) == 6
        for told, real in zip(leg["sightings"], seen):
            assert (told["netns"], told["device"], told["src"], told["dst"], told[other]) == \
                (real.netns, real.device, real.src, real.dst, getattr(real, other)), (names[real.netns], told, real)
            if "198.51.100.1" in (told["src"], told["dst"]):
                assert told[mine] == getattr(real, mine) == 4000
            else:
                assert told[mine] is None and getattr(real, mine) != 4000
            assert told["command"].endswith(f"and port {4000 if told[mine] else 7000}'")


def test_the_words_for_them(lab: Lab) -> None:
    text = pktdiag("trace", "198.51.100.1:4000", "198.51.102.2:7000/tcp", netns=lab.name("src")).stdout
    for said in ("198.51.100.1:4000 becomes 198.51.101.1 with a random port", "198.51.101.1:? becomes 198.51.102.1 with a random port",
                 "198.51.102.1:? becomes 198.51.101.1:?", "198.51.101.1:? becomes 198.51.100.1:4000"):
        assert said in " ".join(text.split()), said


def test_a_rule_that_asks_for_one(lab: Lab) -> None:
    lab.sh("dst", "nft add table ip f; nft 'add chain ip f i { type filter hook input priority 0; }'; nft add rule ip f i tcp sport 7001 drop;"
           "nft 'add chain ip f o { type filter hook output priority 0; }'; nft add rule ip f o tcp dport 7002-7003 drop")
    answer = lab.ask("src", "198.51.100.1:4000", "198.51.102.2:7000/tcp")
    conditions = [condition for leg in (answer["request"], answer["reply"]) for outcome in leg["outcomes"] for condition in outcome["conditions"]]
    assert answer["verdict"] == "depends"
    assert any("the source port drawn at random is 7001 " in str(condition) for condition in conditions), conditions
    assert any("the destination port drawn at random lies within 7002-7003 " in str(condition)
               or "the destination port drawn at random >= 7002 " in str(condition) for condition in conditions), conditions
