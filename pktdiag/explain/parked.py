"""Delivered, and still lost: dockerd (without its userland proxy) and conmon bind a published port only to reserve it. Nobody
reads from that socket; it is the engine's DNAT that carries packets past it.
"""

from __future__ import annotations

from pktdiag.explain.causes import engines
from pktdiag.explain.causes.case import Case, place
from pktdiag.model.question import Question
from pktdiag.model.trace import Drop, Fix, Trace
from pktdiag.model.view import HostView

_RESERVE = ("dockerd", "conmon")


def warned(host: HostView, question: Question, trace: Trace) -> Trace:
    """With the reason why such a packet met the reserving socket, where its engine's rules are gone."""
    receiver = trace.request.receiver
    if receiver is None or receiver.process not in _RESERVE:
        return trace
    ns = host.namespace(int(receiver.netns[5:-1]))
    case = Case(host, question, trace, trace.request, Drop("", "", ns.id, "", None, (), ""), ns, is_reply=False)
    gone = engines.flushed(case)
    if gone is None:
        return trace
    summary = (f"{receiver.process} on {place(case)} gets it on a socket that only reserves the published port, so nobody answers. "
               f"{gone.text}.")
    return trace._replace(summary=summary, fixes=(Fix(gone.proposal.why, gone.proposal.commands, False),))
