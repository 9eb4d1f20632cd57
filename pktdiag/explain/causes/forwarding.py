"""A host that is not a router: ip_forward."""

from __future__ import annotations

from pktdiag.explain.causes import tproxy
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, place
from pktdiag.explain.causes.words import capital
from pktdiag.explain.whatif.changes import Change, SetSysctl
from pktdiag.model.kernel import AF_INET
from pktdiag.model.packet import format_address
from pktdiag.walk import addresses as addr


def not_forwarding(case: Case) -> Finding:
    """ip_forward=0, for the whole namespace or on the one interface."""
    if tproxy.rule_of(case) is not None:  # it was never meant to be forwarded
        return tproxy.sent_on(case)
    v4 = case.packet.family == AF_INET
    dev = case.drop.device
    if not v4:
        changes: tuple[Change, ...] = (SetSysctl(case.ns.id, "net/ipv6/conf/all/forwarding", "1"),)
        key = "net.ipv6.conf.all.forwarding"
    elif addr.conf(case.ns, AF_INET, "all", "forwarding"):
        key = f"net.ipv4.conf.{dev}.forwarding"
        changes = (SetSysctl(case.ns.id, f"net/ipv4/conf/{dev}/forwarding", "1"),)
    else:
        key = "net.ipv4.ip_forward"
        # Writing ip_forward sets every interface's switch (net/ipv4/devinet.c inet_forward_change).
        changes = (SetSysctl(case.ns.id, "net/ipv4/ip_forward", "1"), *(
            SetSysctl(case.ns.id, f"net/ipv4/conf/{name}/forwarding", "1")
            for name in ("all", *(link.name for link in case.ns.links().values()))))
    came = f" that come in through {dev}" if ".conf." in key and dev else ""
    what = "The answer" if case.is_reply else "This packet"
    summary = (f"{capital(place(case))} does not forward packets{came} ({key}=0). {what} to {format_address(case.packet.dst)} is dropped "
               f"{'without a word' if not case.drop.answer else 'and answered with ' + case.drop.answer}.")
    setting = f"net/ipv4/conf/{dev}/forwarding" if ".conf." in key and "." in dev else key  # eth0.5 needs the other separator
    return Finding(summary, (f"{key} is 0: {inside(case, 'sysctl ' + setting)}",),
                   (Proposal("Switch forwarding on, and in the file under /etc/sysctl.d that wins (systemd-analyze cat-config sysctl.d)",
                             (inside(case, f"sysctl -w {setting}=1"),), changes),))
