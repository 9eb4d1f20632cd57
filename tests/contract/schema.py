"""The documents' shapes, as another program would check them. Written from the design's section 4 alone."""

from __future__ import annotations

import re
from typing import Any

VERDICTS = {"delivered": 0, "left-host": 0, "dropped": 1, "rejected": 1, "depends": 3}
NETNS = re.compile(r"net:\[\d+\]")
LEG = {"verdict", "packet", "receiver", "drop", "sightings", "steps", "outcomes"}
PACKET = {"src", "dst", "sport", "dport", "proto", "mark", "ttl"}
RECEIVER = {"netns", "pid", "process", "container", "socket"}
DROP = {"reason", "stage", "netns", "device", "rule", "counters", "text"}
SIGHTING = {"netns", "device", "direction", "src", "dst", "sport", "dport", "proto"}
STEP = {"netns", "stage", "device", "text"}
OUTCOME = {"condition", "verdict", "drop", "receiver", "sightings"}


def check_trace(document: dict[str, Any], status: int, fixes: bool = True) -> None:
    """Raises AssertionError where a ``pktdiag.trace/1`` document breaks its promise."""
    assert document["schema"] == "pktdiag.trace/1"
    assert {"verdict", "summary", "request", "reply", "fixes"} <= document.keys()
    assert status == VERDICTS[document["verdict"]], (status, document["verdict"])
    assert document["summary"] and "\n" not in document["summary"]
    through = document["request"]["verdict"] in ("delivered", "left-host")
    reply = document["reply"]
    if through and reply is not None and reply["verdict"] not in ("delivered", "left-host"):
        assert document["verdict"] == reply["verdict"]
    else:
        assert document["verdict"] == document["request"]["verdict"]
    drawn = any("with a random port" in step["text"] for leg in (document["request"], reply) if leg is not None for step in leg["steps"])
    for leg in (document["request"], reply):
        if leg is not None:
            check_leg(leg, drawn)
    for fix in document["fixes"]:
        assert {"why", "commands", "verified"} <= fix.keys()
        assert isinstance(fix["verified"], bool) and all(isinstance(c, str) and c for c in fix["commands"])


def check_leg(leg: dict[str, Any], drawn: bool = False) -> None:
    assert leg.keys() >= LEG and leg["packet"].keys() >= PACKET, leg.keys()
    check_end(leg, drawn)
    assert leg["steps"]
    for step in leg["steps"]:
        assert step.keys() >= STEP and NETNS.fullmatch(step["netns"]) and step["text"]
    assert bool(leg["outcomes"]) == (leg["verdict"] == "depends")
    for outcome in leg["outcomes"]:
        assert outcome.keys() >= OUTCOME and outcome["condition"]
        assert outcome["verdict"] in VERDICTS  # depends: it could not be followed to an end
        if outcome["verdict"] != "depends":
            check_end(outcome, drawn=True)  # what makes an outcome's way is not told step by step


def check_end(end: dict[str, Any], drawn: bool = False) -> None:
    """What a leg and an outcome have in common. ``drawn``: NAT draws source ports at random on the way, which are null then."""
    drop, receiver = end["drop"], end["receiver"]
    assert (drop is not None) == (end["verdict"] in ("dropped", "rejected")), end["verdict"]
    if end["verdict"] == "delivered":
        assert receiver is not None
    elif end["verdict"] != "depends":
        assert receiver is None
    if drop is not None:
        assert drop.keys() >= DROP and re.fullmatch(r"[A-Z0-9_]+", drop["reason"]) and NETNS.fullmatch(drop["netns"]) and drop["text"]
        assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", name) for name in drop["counters"]), drop["counters"]
    if receiver is not None:
        assert receiver.keys() >= RECEIVER and NETNS.fullmatch(receiver["netns"])
        assert receiver["pid"] is None or isinstance(receiver["pid"], int)
    for sight in end["sightings"]:
        assert sight.keys() >= SIGHTING and sight["direction"] in ("in", "out") and NETNS.fullmatch(sight["netns"])
        assert isinstance(sight["proto"], str)
        assert all(port is None or isinstance(port, int) for port in (sight["sport"], sight["dport"]))
        assert drawn or (sight["sport"] is None) == (sight["dport"] is None)
