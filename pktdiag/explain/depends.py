"""``why-dropped`` when the answer is not one: every outcome with its condition, and what the bad ones would need."""

from __future__ import annotations

from pktdiag.model.trace import DEPENDS, THROUGH_VERDICTS, Leg, Outcome, Trace

MOST = 4
"""Outcomes a summary tells; the list below it has them all."""

SAID_BY_CONDITION = frozenset(("tc", "xdp", "table-unreadable", "unknown-target", "swallowed"))
"""Causes of which nothing is known but that they may be: the condition says it all."""

_ROOT = "running as root"
_ROOT_OR_ABSENT = "running as root, or --assume-empty where there is none"
_RX_CHECKSUMMING = "whether rx-checksumming is on there (ethtool -k)"
_SETTLED_BY = (
    ("bpf", _ROOT_OR_ABSENT), ("ebtables", _ROOT_OR_ABSENT), ("could not be read", _ROOT), ("permission", _ROOT),
    ("verified the packet's checksum", _RX_CHECKSUMMING), ("added up its checksum", _RX_CHECKSUMMING),
    ("random", ""), ("statistic", ""), ("limit", ""), ("table full", ""),
    ("connection", "--state"), ("conntrack", "--state"), ("mark", "--mark"), ("uid", "--uid"), ("owner", "--uid"), ("group", "--gid"),
    ("tcp flags", "--tcp-flags"), ("length", "--size"),
)
"""A word of a condition, and the flag or privilege that would settle it; the first that fits counts. "": nothing would."""


def unsure_leg(trace: Trace) -> Leg | None:
    """The direction whose fate depends on something."""
    if trace.request.verdict == DEPENDS:
        return trace.request
    if trace.request.verdict in THROUGH_VERDICTS and trace.reply is not None and trace.reply.verdict == DEPENDS:
        return trace.reply
    return None


def losing(leg: Leg) -> Leg | None:
    """The leg as it is in the first outcome that loses the packet for a known reason; None: there is none. Its steps are those
    of the first outcome of all."""
    for outcome in leg.outcomes:
        fate = outcome.fate
        if fate.drop is not None and fate.verdict not in (*THROUGH_VERDICTS, DEPENDS):
            return leg._replace(verdict=fate.verdict, drop=fate.drop, packet=fate.packet, sightings=outcome.sightings)
    return None


def summary(trace: Trace, leg: Leg) -> str:
    """"It depends: if …, it is delivered to web; unless …, it is dropped." and what would settle it."""
    who = "The answer's fate depends" if leg is trace.reply else "It depends"
    outcomes = sorted(leg.outcomes, key=lambda outcome: not outcome.conditions)
    if not outcomes:
        return f"{who} on something that could not be read."
    if len(outcomes) == 1 and outcomes[0].fate.verdict == DEPENDS:
        told = f" on {unread(outcomes[0])}"
    else:
        told = ": " + "; ".join(f"{_short(under(outcome.conditions))}, {_ending(outcome)}" for outcome in outcomes[:MOST])
        if len(outcomes) > MOST:
            told += f"; and {len(outcomes) - MOST} more outcomes"
    texts = [text for outcome in outcomes for text in (*outcome.conditions, outcome.fate.drop.text if outcome.fate.drop else "")]
    settle = dict.fromkeys(flag for text in texts if (flag := _settles(text)))
    return f"{who}{told}." + (f" What would settle it: {' or '.join(settle)}." if settle else "")


def unread(outcome: Outcome) -> str:
    """What an outcome hangs on that is no outcome yet."""
    return _short(outcome.fate.drop.text.rstrip(".")) if outcome.fate.drop is not None else "something that could not be read"


def _short(text: str) -> str:
    """Without the remedy, which is told once for all."""
    return text.replace(" (run as root (CAP_NET_ADMIN in the namespace, CAP_SYS_ADMIN to enter it))", "").replace(" (run as root)", "")


def under(conditions: tuple[str, ...]) -> str:
    """"if A and B, unless C or D"; "otherwise" where nothing is asked."""
    hold = " and ".join(text.rstrip(".") for text in conditions if not text.startswith("not: "))
    fail = " or ".join(text[5:].rstrip(".") for text in conditions if text.startswith("not: "))
    return ", ".join(part for part in (f"if {hold}" if hold else "", f"unless {fail}" if fail else "") if part) or "otherwise"


def _ending(outcome: Outcome) -> str:
    fate = outcome.fate
    if fate.drop is not None and fate.verdict == DEPENDS:
        return f"it depends further on {unread(outcome)}"
    if fate.drop is not None:
        text = _short(fate.drop.text.rstrip("."))
        if any(text[:20] in condition for condition in outcome.conditions):  # the condition has said it
            return f"it is {fate.verdict} there"
        return f"it is {fate.verdict} ({text[:1].lower() + text[1:] if text[1:2].islower() else text})"
    if fate.receiver is not None:
        return f"it is delivered to {fate.receiver.process or 'a socket'}"
    return f"it leaves this host through {fate.device}" if fate.device else "it gets through"


def _settles(text: str) -> str:
    low = text.lower()
    return next((flag for word, flag in _SETTLED_BY if word in low), "")
