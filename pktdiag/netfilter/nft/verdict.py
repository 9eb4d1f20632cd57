"""What an expression says after it ran: nothing (go on), a verdict, or that it cannot be known.

include/uapi/linux/netfilter/nf_tables.h: enum nft_verdicts; include/uapi/linux/netfilter.h for NF_*.
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import HookResult

NF_DROP, NF_ACCEPT, NF_STOLEN, NF_QUEUE, NF_REPEAT = 0, 1, 2, 3, 4
NFT_CONTINUE, NFT_BREAK, NFT_JUMP, NFT_GOTO, NFT_RETURN = -1, -2, -3, -4, -5


class Verdict(NamedTuple):
    """Content of the verdict register."""

    code: int
    chain: str = ""
    """Target of a jump or goto."""
    result: HookResult | None = None
    """What the statement made of the packet where "drop" alone would say too little (reject, nat, queue)."""


BREAK = Verdict(NFT_BREAK)
DROP = Verdict(NF_DROP)
ACCEPT = Verdict(NF_ACCEPT)


def decode(attrs: dict[int, bytes]) -> Verdict:
    """A nested nft_verdict attribute set (NFTA_VERDICT_CODE, NFTA_VERDICT_CHAIN). Raises MalformedError."""
    from pktdiag.netfilter.nft.wire import string, u32

    code = u32(attrs, 1)
    if code >= 0x80000000:
        code -= 0x100000000
    return Verdict(code, string(attrs, 2, ""))


def name(verdict: Verdict) -> str:
    """As nft prints it: "accept", "jump chain"."""
    code = verdict.code
    if code == NFT_JUMP:
        return f"jump {verdict.chain}"
    if code == NFT_GOTO:
        return f"goto {verdict.chain}"
    names = {NF_DROP: "drop", NF_ACCEPT: "accept", NF_STOLEN: "stolen", NF_REPEAT: "repeat", NFT_CONTINUE: "continue",
             NFT_BREAK: "break", NFT_RETURN: "return"}
    if code & 0xFF == NF_QUEUE and code >= 0:
        number = code >> 16 & 0xFFFF
        return f"queue to {number}" if number else "queue"
    return names.get(code, f"unknown verdict {code}")
