"""Packets for the rules of ``every``: TCP options, DSCP and ECN, ICMP kinds, sizes, and rarer protocols. What a host's rules ask for
is sent there more often than elsewhere."""

from __future__ import annotations

import re

from . import headers
from .rare import AH, COMP, DCCP, ESP, IGMP, MOBILITY, SCTP, UDPLITE
from .send import PacketSpec
from .topology import Plan
from .traffic import packets

OPTIONS = {
    "": "", "maxseg": "020405b4", "sack-perm|window": "020405b40402080a00000001000000000103030701", "small": "020402000402010303070101",
    "timestamp|option 8|tsecr": "0101080a0000000100000000", "254": "fe04010201010100", "sack": "0101050a0000000100000005",
    "fastopen": "22020000", "mptcp": "1e0400000204019c", "eol": "020405b401010100",
}
"""By what a rule says of them: none, MSS, all of a SYN's, a small MSS first, time stamps alone, an experiment, SACK, fast open, MPTCP
with an MSS behind it, an end of options."""
PROTOCOLS = {
    SCTP: r"sctp", DCCP: r"dccp", UDPLITE: r"udplite", AH: r"\bah\b|--ahspi", ESP: r"\besp\b", COMP: r"\bcomp\b|ipcomp", IGMP: r"igmp",
    MOBILITY: r"\bmh\b|mobility",
}
KINDS4 = ((8, 0), (8, 0), (0, 0), (8, 1), (13, 0), (17, 0))
ASKED4, ASKED6 = {r"icmp gateway": (5, 1), r"icmp mtu": (3, 4)}, {r"icmpv6 mtu": (2, 0), r"max-delay": (130, 0), r"param-problem": (4, 1)}
"""ICMP messages that are sent only where a rule looks into them."""


def packets_for_everything(plan: Plan, count: int) -> list[PacketSpec]:
    """The usual packets, varied in what the rules look at. Everything in them that we make ourselves is told to the walk."""
    rng = plan.rng
    # Frames must leave the device they are injected at as they are: no chain of ours may look at them there.
    watched = {(item["ns"], item["line"].split(" device ")[1].split()[0]) for item in plan.items
               if item["do"] == "nft" and "hook egress" in item["line"]}
    found = [spec for spec in packets(plan, count) if spec["how"] != "frame" or (spec["ns"], spec["dev"]) not in watched]
    rules = "\n".join(item["line"] for item in plan.items if item["do"] in ("nft", "xt"))
    asked = [proto for proto, words in PROTOCOLS.items() if re.search(words, rules)]
    options = [value for words, value in OPTIONS.items() if words and re.search(f"option.*({words})", rules)]
    for spec in found:
        spec["known"] = True
        six = ":" in spec["dst"]
        if plan.chance(0.3):
            stream = spec["how"] == "socket" and spec["proto"] == "tcp"  # whose ECN bits are TCP's own business (IP_TOS)
            spec["tos"] = rng.choice((0x10, 0x28, 0xB8) if stream else (0x10, 0x28, 0xB8, 1, 2, 3))
        if spec["how"] == "frame" and "vlan" in rules and plan.chance(0.4):
            spec["vlan"] = rng.choice((5, 5, 6, 0x2005, 0x3005))  # also with a priority, also with the drop bit
        fitting = [proto for proto in asked if proto not in ((AH, IGMP) if six else (MOBILITY,))]
        if plan.chance(0.25 if fitting else 0.05):
            _rare(plan, spec, rng.choice(fitting or [SCTP, DCCP, UDPLITE, ESP, COMP]))
        elif spec["how"] != "socket" and spec["proto"] == "tcp" and plan.chance(0.75):
            spec["options"] = _padded(rng.choice(options) if options and plan.chance(0.6) else rng.choice(list(OPTIONS.values())))
        elif spec["how"] != "socket" and spec["proto"] == "icmp":
            messages = [kind for words, kind in (ASKED6 if six else ASKED4).items() if re.search(words, rules)]
            if messages and plan.chance(0.4):
                spec["icmp"] = list(rng.choice(messages))
                spec["size"] = max(spec.get("size", 0), 120)  # room for the packet it does not quote
            elif not six and plan.chance(0.3):
                spec["icmp"] = list(rng.choice(KINDS4))
    headers.dress(plan, found, rules)
    return found


def _rare(plan: Plan, spec: PacketSpec, proto: int) -> None:
    """Makes it a packet of another protocol, from a raw socket where it would have come from one of its own."""
    if spec["how"] == "socket":
        if spec.get("dev") or spec.get("broadcast") or spec["proto"] == "tcp":
            return
        own = [i.v6 if ":" in spec["dst"] else i.v4 for i in plan.interfaces if i.ns == spec["ns"]]
        spec["src"] = spec["src"] or next((address for address in own if address), "")
        if not spec["src"]:
            return
        spec["how"] = "raw"
    spec["proto"], spec["kind"] = proto, plan.rng.choice((0, 0, 1))
    for key in ("icmp", "options", "size"):
        spec.pop(key, None)
    if proto == SCTP and plan.chance(0.5):
        spec["chunk_flags"] = 1


def _padded(text: str) -> str:
    raw = bytes.fromhex(text)
    return (raw + b"\1" * (-len(raw) % 4)).hex()
