"""Bridges: a frame that would have to go back where it came from."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, word
from pktdiag.explain.causes.words import at
from pktdiag.explain.whatif.changes import ChangeLink


def hairpin(case: Case) -> Finding:
    """hairpin mode off: a container cannot reach itself through its published address."""
    name = case.drop.device
    link = case.ns.link_named(name)
    bridge = case.ns.link(link.master) if link is not None and link.master else None
    who = f"The bridge {bridge.name}" if bridge is not None else "The bridge"
    summary = (f"{who} {at(case)} does not send a frame back out of {name}, the port it came in through: hairpin mode is off there, so "
               "what is behind that port cannot reach itself through a published address.")
    evidence = (f"hairpin is off: {inside(case, f'bridge -d link show dev {word(name)}')}",)
    if link is None:
        return Finding(summary, evidence, ())
    proposal = Proposal(f"Let the bridge send frames back out of {name} (a new container gets a new port; engines do it for all with the "
                        "userland proxy off)", (inside(case, f"bridge link set dev {word(name)} hairpin on"),),
                        (ChangeLink(case.ns.id, link.ifindex, {"port": {"hairpin": 1}}),))
    return Finding(summary, evidence, (proposal,))
