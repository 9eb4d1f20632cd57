"""``why-dropped`` when the answer is not one: every outcome with its condition, and what the bad ones would need."""

from __future__ import annotations

from pktdiag.model.trace import DEPENDS, THROUGH_VERDICTS, Leg, Outcome, Trace

_SETTLED_BY = (
    ("could not be read", "run as root"), ("permission", "run as root"),
    ("random", ""), ("statistic", ""), ("limit", ""),
    ("conntrack", "--state"), ("connection", "--state"), ("mark", "--mark"), ("uid", "--uid"), ("owner", "--uid"), ("payload", ""),
    ("tcp flags", "--tcp-flags"), ("length", "--size"),
)
"""A word of a condition, and the flag or privilege that would settle it."""


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
    """"It depends: if …, it is delivered to web; if not …, it is dropped: …"."""
    who = "The answer's fate depends" if leg is trace.reply else "It depends"
    outcomes = sorted(leg.outcomes, key=lambda outcome: not outcome.conditions)
    told = [f"{under(outcome.conditions)}, {_ending(outcome)}" for outcome in outcomes[:4]]
    if len(leg.outcomes) > 4:
        told.append(f"and {len(leg.outcomes) - 4} more outcomes")
    if not told:
        return f"{who} on something that could not be read."
    settle = dict.fromkeys(flag for outcome in leg.outcomes for text in outcome.conditions if (flag := _settles(text)))
    tail = f" What would settle it: {' or '.join(settle)}." if settle else ""
    return f"{who}: {'; '.join(told)}.{tail}"


def under(conditions: tuple[str, ...]) -> str:
    """"if A and B, unless C or D"; "otherwise" where nothing is asked."""
    hold = " and ".join(text.rstrip(".") for text in conditions if not text.startswith("not: "))
    fail = " or ".join(text[5:].rstrip(".") for text in conditions if text.startswith("not: "))
    return ", ".join(part for part in (f"if {hold}" if hold else "", f"unless {fail}" if fail else "") if part) or "otherwise"


def _ending(outcome: Outcome) -> str:
    fate = outcome.fate
    if fate.drop is not None and fate.verdict == DEPENDS:
        return f"nothing more can be said ({fate.drop.text.rstrip('.')})"
    if fate.drop is not None:
        text = fate.drop.text.rstrip(".")
        return f"it is {fate.verdict} ({text[:1].lower() + text[1:] if text[1:2].islower() else text})"
    if fate.receiver is not None:
        return f"it is delivered to {fate.receiver.process or 'a socket'}"
    return f"it leaves this host through {fate.device}" if fate.device else "it gets through"


def _settles(text: str) -> str:
    if "run as root" in text:
        return ""  # said in the condition itself
    low = text.lower()
    return next((flag for word, flag in _SETTLED_BY if word in low), "")
