"""Too big for the link."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.whatif.changes import ChangeLink


def mtu_exceeded(case: Case) -> Finding:
    """A don't-fragment packet larger than the way out; whether the sender learns of it decides between slow and dead."""
    link = case.ns.link_named(case.drop.device)
    packet = case.packet
    told = "the sender is told its MTU" if case.drop.answer else "the sender is not told"
    if case.drop.answer and case.trace.reply is not None and case.trace.reply.drop is not None:
        told = f"the message that tells the sender is lost itself: {case.trace.reply.drop.text}"
    evidence = (case.drop.text, f"MTUs along the way: {inside(case, 'ip link')}",
                f"Counter it moves: {', '.join(case.drop.counters)}", told)
    proposals = [Proposal("clamp TCP's segment size to the path (or lower the sender's MTU)",
                          (inside(case, "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"),), ())]
    if link is not None:
        proposals.insert(0, Proposal(f"raise the MTU of {link.name} to {packet.length}, if the link behind it carries that",
                                     (inside(case, f"ip link set {link.name} mtu {packet.length}"),),
                                     (ChangeLink(case.ns.id, link.ifindex, {"mtu": packet.length}),)))
    return Finding(f"The packet of {packet.length} bytes does not fit through {case.drop.device} in {place(case)}; {told}.",
                   evidence, tuple(proposals))
