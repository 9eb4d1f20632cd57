"""Too big for the link."""

from __future__ import annotations

from pktdiag.explain.causes import accept
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, ip_tool, word
from pktdiag.explain.causes.words import at, sentence
from pktdiag.explain.whatif.changes import ChangeLink
from pktdiag.model.kernel import AF_INET, IPPROTO_TCP
from pktdiag.model.packet import format_address
from pktdiag.model.trace import THROUGH_VERDICTS


def mtu_exceeded(case: Case) -> Finding:
    """A don't-fragment packet larger than the way out; whether the sender learns of it decides between slow and dead."""
    link = accept.devices(case)[1] or case.ns.link_named(case.drop.device)
    packet, answer, reply = case.packet, case.drop.answer, case.trace.reply
    if link is not None and packet.length <= link.mtu:
        return _smaller_than_the_link(case)
    name, mtu = (link.name, f" {link.mtu}") if link is not None else (case.drop.device, "")
    summary = f"The packet of {packet.length} bytes does not fit the MTU{mtu} of {name} {at(case)} and must not be fragmented"
    evidence = [f"The MTU: {inside(case, f'ip link show dev {word(name)}')}"]
    if answer and not case.is_reply and reply is not None and reply.verdict not in THROUGH_VERDICTS:
        why = f" ({reply.drop.text.rstrip('.')})" if reply.drop is not None else ""
        summary += f"; the ICMP message that would tell the sender is lost{why}, so long packets vanish while short ones pass"
        if reply.drop is not None and reply.drop.rule is not None:
            evidence.append(f"The rule that drops the ICMP message: {reply.drop.rule.show}")
    elif answer:
        summary += "; the sender is told, and has to send smaller ones"
    elif case.drop.stage == "local-output":
        summary += ": the sender gets EMSGSIZE"
    else:
        summary += "; the sender is not told"
    proposals = []
    if link is not None:
        proposals.append(Proposal(f"Raise the MTU of {name} to {packet.length}, if the link behind it carries that",
                                  (inside(case, f"ip link set dev {word(name)} mtu {packet.length}"),),
                                  (ChangeLink(case.ns.id, link.ifindex, {"mtu": packet.length}),)))
    if packet.proto == IPPROTO_TCP:
        tool = "iptables" if packet.family == AF_INET else "ip6tables"
        clamp = f"{tool} -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
        proposals.append(Proposal("Clamp TCP's segment size to the path", (inside(case, clamp),), ()))
    lower = f" to {link.mtu}" if link is not None else ""
    proposals.append(Proposal(f"Lower the MTU on the sender's side{lower} (a container engine's network: its mtu option)", (), ()))
    return Finding(sentence(summary), tuple(evidence), tuple(proposals))


def _smaller_than_the_link(case: Case) -> Finding:
    """What the route says, or what was learned for the destination, counts before the device."""
    target = format_address(case.packet.dst)
    told = "the sender is told, and has to send smaller ones" if case.drop.answer else "the sender is not told"
    tool = ip_tool(case)
    return Finding(sentence(f"Dropped {at(case)}: {case.drop.text.rstrip('.')}; {told}"),
                   (f"The MTU that counts: {inside(case, f'{tool} route get {target}')}",),
                   (Proposal("Take the MTU off the route, if the way carries more", (inside(case, f"{tool} route show"),), ()),
                    Proposal("Forget path MTUs that were learned, if the way carries more by now",
                             (inside(case, f"{tool} route flush cache"),), ())))


def does_not_fit(case: Case) -> Finding:
    """Between bridge ports or the ends of a veth pair nobody is told anything."""
    return Finding(sentence(f"Dropped {at(case)}, and the sender is not told: {case.drop.text}"), (f"MTUs: {inside(case, 'ip link')}",),
                   (Proposal("Give the bridge, its ports and what is behind them the same MTU", (inside(case, "ip link"),), ()),))
