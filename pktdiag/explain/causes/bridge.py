"""Bridges: a frame that would have to go back where it came from."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.whatif.changes import ChangeLink


def hairpin(case: Case) -> Finding:
    """hairpin mode off: a container cannot reach itself through its published address."""
    link = case.ns.link_named(case.drop.device)
    name = case.drop.device
    evidence = (case.drop.text, f"/sys/class/net/{name}/brport/hairpin_mode is 0: {inside(case, f'bridge -d link show dev {name}')}")
    if link is None:
        return Finding("", evidence, ())
    proposal = Proposal(f"let the bridge send frames back out of {name}", (inside(case, f"bridge link set dev {name} hairpin on"),),
                        (ChangeLink(case.ns.id, link.ifindex, {"port": {"hairpin": 1}}),))
    return Finding(f"The bridge in {place(case)} will not send the frame back out of {name}, the port it came from (hairpin mode is off).",
                   evidence, (proposal,))
