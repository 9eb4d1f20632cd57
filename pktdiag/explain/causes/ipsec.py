"""An IPsec policy blocks: it refuses packets by their addresses, as a rule would, and no firewall tool shows it."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Finding, Proposal, inside
from pktdiag.explain.causes.words import at, capital, rejected, sentence
from pktdiag.explain.whatif.changes import RemoveIpsecPolicy
from pktdiag.walk.ipsec_policies import NAMES, Policy, decode


def blocked(case: Case) -> Finding:
    """Names the policy, and what takes it away. ip-xfrm(8): ``ip xfrm policy delete … index INDEX dir DIR``."""
    lost = f"the answer is {rejected(case)}" if case.is_reply else rejected(case)
    summary = sentence(f"{capital(lost)} {at(case)}: {case.drop.text}")
    show = f"No firewall tool lists it: {inside(case, 'ip xfrm policy')}"
    for payload in case.ns.xfrm_policies()[0]:
        policy: Policy = decode(payload)
        if policy.direction < len(NAMES) and policy.text() in case.drop.text:
            command = f"ip xfrm policy delete index {policy.number} dir {NAMES[policy.direction]}"
            return Finding(summary, (show,), (Proposal("Take the policy away (where an IPsec daemon made it, in its configuration)",
                                                       (inside(case, command),), (RemoveIpsecPolicy(case.ns.id, payload),)),))
    return Finding(summary, (show,), ())
