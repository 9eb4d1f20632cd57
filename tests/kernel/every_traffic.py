"""Packets for the rules of ``every``: TCP options, DSCP and ECN, ICMP kinds, sizes, and (where told) rarer protocols."""

from __future__ import annotations

from .rare import KNOWN, MOBILITY
from .send import PacketSpec
from .topology import Plan
from .traffic import packets

OPTIONS = ("", "020405b4", "020405b40402080a00000001000000000103030701010100"[:40] + "01", "02040200" + "0402" + "0103" + "030701" + "01",
           "0101080a0000000100000002", "fe0401020101010000000000"[:16], "0101050a0000000100000005", "22020000", "1e0400000204019c")
"""None, MSS, all of a SYN's, a small MSS first, time stamps alone, an experiment, SACK, fast open, MPTCP with an MSS behind it."""
KINDS4 = ((8, 0), (8, 0), (0, 0), (8, 1), (13, 0), (17, 0))


def packets_for_everything(plan: Plan, count: int, rare: bool) -> list[PacketSpec]:
    """The usual packets, varied in what the rules look at. Everything in them that we make ourselves is told to the walk."""
    rng = plan.rng
    # Frames must leave the device they are injected at as they are: no chain of ours may look at them there.
    watched = {(item["ns"], item["line"].split(" device ")[1].split()[0]) for item in plan.items
               if item["do"] == "nft" and "hook egress" in item["line"]}
    found = [spec for spec in packets(plan, count) if spec["how"] != "frame" or (spec["ns"], spec["dev"]) not in watched]
    for spec in found:
        spec["known"] = True
        six = ":" in spec["dst"]
        if plan.chance(0.3):
            stream = spec["how"] == "socket" and spec["proto"] == "tcp"  # whose ECN bits are TCP's own business (IP_TOS)
            spec["tos"] = rng.choice((0x10, 0x28, 0xB8) if stream else (0x10, 0x28, 0xB8, 1, 2, 3))
        if spec["how"] == "socket":
            continue
        if spec["proto"] == "tcp" and plan.chance(0.75):
            spec["options"] = _padded(rng.choice(OPTIONS))
        if spec["proto"] == "icmp" and not six and plan.chance(0.3):
            spec["icmp"] = list(rng.choice(KINDS4))
        if plan.chance(0.3 if rare else 0.15):
            spec["proto"] = rng.choice((*KNOWN[:-1], MOBILITY) if six else KNOWN)
            spec["kind"] = rng.choice((0, 0, 1))
            for key in ("icmp", "options", "size"):
                spec.pop(key, None)
    return found


def _padded(text: str) -> str:
    raw = bytes.fromhex(text)
    return (raw + b"\1" * (-len(raw) % 4)).hex()
