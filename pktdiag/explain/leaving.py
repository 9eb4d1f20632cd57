"""A packet that leaves this host for good: whether its answer can find the way back, as far as that can be seen from here."""

from __future__ import annotations

from pktdiag.explain.causes import engines, way
from pktdiag.explain.causes.case import Case, place
from pktdiag.explain.causes.words import capital, sentence
from pktdiag.model.packet import format_address, in_prefix
from pktdiag.model.question import Question
from pktdiag.model.trace import Drop, Fix, Trace
from pktdiag.model.view import HostView

_PRIVATE = ((b"\x0a\0\0\0", 8), (b"\xac\x10\0\0", 12), (b"\xc0\xa8\0\0", 16), (b"\xfc" + bytes(15), 7))
"""RFC 1918 and RFC 4193."""


def warned(host: HostView, question: Question, trace: Trace) -> Trace:
    """With a warning, where the packet left with a private source address that the far side can hardly know: it was
    forwarded here, no masquerade took it, and the network it left by does not hold that address."""
    leg = trace.request
    packet = leg.packet
    nowhere = Drop("", "", question.netns, "", None, (), "")
    case = Case(host, question, trace, leg, nowhere, host.namespace(int(question.netns[5:-1])), is_reply=False)
    router = way.last_router(case, leg)
    if router is None or not any(in_prefix(packet.src, prefix, length) for prefix, length in _PRIVATE):
        return trace
    near = [item for item in router.ns.addresses(packet.family) if item.ifindex == router.out.ifindex]
    own = {item.local for item in router.ns.addresses(packet.family)}
    if packet.src in own or any(in_prefix(packet.src, item.local, item.prefixlen) for item in near):
        return trace
    text = (f"{capital(place(case, router.ns))} sends it out of {router.out.name} with the private source address "
            f"{format_address(packet.src)}, no masquerade changes it: an answer comes back only if the network out there has a route to "
            "that address")
    gone = engines.flushed(case, router.ns)
    if gone is not None:
        text += f"; {gone.text}"
    proposal = way.masquerade(case, router, packet, "If no answer comes: masquerade what leaves there")
    fixes = [Fix(proposal.why, proposal.commands, False)]
    if gone is not None:
        fixes.insert(0, Fix(gone.proposal.why, gone.proposal.commands, False))
    return trace._replace(summary=f"{trace.summary} {sentence(text)}", fixes=tuple(fixes))
