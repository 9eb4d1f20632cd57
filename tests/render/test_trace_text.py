"""What the engineer on call reads, from traces made by hand: hostile names, every verdict, every width."""

from __future__ import annotations

import json

import pytest

from pktdiag.model.packet import Packet, parse_address
from pktdiag.model.question import Question
from pktdiag.model.trace import Clause, Drop, Fate, Fix, Leg, Outcome, Receiver, RuleRef, Sighting, Step, Trace
from pktdiag.render import trace_json, trace_text
from pktdiag.render.json_text import dumps
from pktdiag.render.look import Look
from pktdiag.render.places import Place

HERE, THERE = "net:[1]", "net:[2]"
EVIL = "\x1b[31mred\x1b]0;owned\x07[bold]x[/bold]\u202e"
PLACES = {HERE: Place("host", ""), THERE: Place(EVIL, "nsenter --net=/proc/7/ns/net")}
PACKET = Packet(parse_address("198.51.100.2"), parse_address("203.0.113.5"), 17, 40000, 53)
RULE = RuleRef(THERE, "iptables-nft", "ip", "filter", "FORWARD", 7, 3, f"-A FORWARD -m comment --comment \"{EVIL}\" -j DROP",
               "iptables -vnL FORWARD --line-numbers", 12, 720)
DROP = Drop("NETFILTER_DROP", "forward", THERE, EVIL, RULE, (), f"Rule 3 of {EVIL} drops it.")


def leg(verdict: str, drop: Drop | None = None, receiver: Receiver | None = None, outcomes: tuple[Outcome, ...] = ()) -> Leg:
    steps = (Step(HERE, "output", "eth0", "It is sent.", packet=PACKET),
             Step(THERE, "bridge-postrouting", EVIL, "Rules are asked.", RULE, (Clause("-i x", True), Clause("-p tcp", False), Clause("-j", None))))
    return Leg(verdict, PACKET, receiver, drop, (Sighting(HERE, "eth0", "out", PACKET), Sighting(THERE, EVIL, "in", PACKET)), steps, outcomes, (RULE,),
               (), ("source port 40000 stands for any (SRC:PORT)",))


def trace(verdict: str, request: Leg, reply: Leg | None = None) -> Trace:
    return Trace(verdict, f"Summary with {EVIL} in it.", request, reply, (Fix(f"let {EVIL} through", ("iptables -D FORWARD 3", f"echo {EVIL}"), True),),
                 ("rules of nft: permission denied",), (f"a fact about {EVIL}",))


def every() -> list[Trace]:
    receiver = Receiver(THERE, 7, EVIL, EVIL, "udp 0.0.0.0:53")
    through = leg("delivered", receiver=receiver)
    two = (Outcome(("the draw comes out true",), Fate("dropped", PACKET, None, DROP, THERE, EVIL), ()),
           Outcome(("not: the draw comes out true",), Fate("delivered", PACKET, receiver, None, THERE, EVIL), ()))
    return [trace("dropped", leg("dropped", DROP)), trace("rejected", leg("rejected", DROP._replace(answer="icmp port-unreachable"))),
            trace("delivered", through, through), trace("dropped", through, leg("dropped", DROP)), trace("depends", leg("depends", outcomes=two)),
            trace("left-host", leg("left-host"))]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("why", [False, True])
@pytest.mark.parametrize("number", range(6))
def test_hostile_names_stay_harmless_text(number: int, why: bool, width: int) -> None:
    text = trace_text.render(every()[number], Question(HERE, PACKET), PLACES, Look(width), why)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b[31mred" in text and "[bold]x[/bold]" in text
    assert text.startswith(every()[number].verdict.upper())
    for line in text.splitlines():
        assert len(line) <= width or max(map(len, line.split())) > width - 34 or line.lstrip().startswith("$ "), line


def test_colour_changes_nothing_but_colour() -> None:
    import re
    for each in every():
        plain = trace_text.render(each, Question(HERE, PACKET), PLACES, Look(80, False), True)
        painted = trace_text.render(each, Question(HERE, PACKET), PLACES, Look(80, True), True)
        assert painted != plain
        assert re.sub("\x1b\\[[0-9;]*m", "", painted) == plain


def test_a_dropped_packet_names_rule_counter_and_way_to_see_it() -> None:
    text = trace_text.render(every()[0], Question(HERE, PACKET), PLACES, Look(100), True)
    for said in ("NETFILTER_DROP", "rule 3 of FORWARD, table ip filter (iptables-nft, handle 7), 12 packets so far",
                 "$ iptables -vnL FORWARD --line-numbers", "No SNMP counter moves", "$ iptables -D FORWARD 3", "Walked again with this change",
                 "permission denied", "nsenter --net=/proc/7/ns/net tcpdump", "CAP_SYS_ADMIN"):
        assert said in text, said


def test_clauses_are_marked_also_without_unicode() -> None:
    question = Question(HERE, PACKET)
    assert "\u2713-i x \u2717-p tcp \u00b7-j" in trace_text.render(every()[0], question, PLACES, Look(120), False)
    assert "+-i x --p tcp ?-j" in trace_text.render(every()[0], question, PLACES, Look(120, unicode=False), False)


def test_both_outcomes_are_shown() -> None:
    text = trace_text.render(every()[4], Question(HERE, PACKET), PLACES, Look(100), True)
    assert "if the draw comes out true:" in text and "unless the draw comes out true:" in text
    assert "dropped, NETFILTER_DROP" in text and "delivered to" in text


def test_json_is_json_with_the_names_raw() -> None:
    for each in every():
        document = trace_json.document(each, Question(HERE, PACKET), PLACES)
        assert json.loads(dumps(document)) == json.loads(json.dumps(document))
        assert document["request"]["sightings"][1]["device"] == EVIL
    outcome = trace_json.document(every()[4], Question(HERE, PACKET), PLACES)["request"]["outcomes"][0]
    assert (outcome["condition"], outcome["verdict"], outcome["drop"]["reason"]) == ("the draw comes out true", "dropped", "NETFILTER_DROP")
