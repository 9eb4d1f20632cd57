"""IPsec policies that block and allow, on a few hosts: this needs no transformation that a kernel may lack (CONFIG_INET_ESP).

Drawn beside the rest of the host, which stays what its seed always made of it.
"""

from __future__ import annotations

from random import Random

from .settings import PORTS
from .topology import Plan

SHARE = 0.05


def policies(plan: Plan, rng: Random) -> None:
    if rng.random() >= SHARE:
        return
    for ns in rng.sample(plan.names, rng.choice((1, 1, 2))):
        for _ in range(rng.choice((1, 2, 3))):
            six = plan.ipv6 and rng.random() < 0.4
            uppers = ["proto udp", "proto tcp", f"proto udp dport {rng.choice(PORTS)}", f"proto tcp dport {rng.choice(PORTS)}",
                      f"proto udp sport {rng.randint(20000, 20008)}"]
            if not six:  # what blocks all of ICMPv6 blocks neighbour discovery, too
                uppers += ["", "", "proto icmp"]
            upper = rng.choice(uppers)
            selector = f"src {_net(plan, rng, six)} dst {_net(plan, rng, six)} {upper}".rstrip()
            mark = rng.choice(("", "", "", " mark 1", " mark 1 mask 1"))
            plan.ip(ns, f"xfrm policy add dir {rng.choice(('in', 'out', 'fwd'))} {selector}{mark} "
                        f"action {rng.choice(('block', 'block', 'allow'))} priority {rng.choice((1, 5, 5, 9))}")
        if rng.random() < 0.1:
            device = rng.choice(plan.devices[ns] or ["lo"])
            plan.sysctl(ns, f"net/ipv4/conf/{device}/{rng.choice(('disable_policy', 'disable_xfrm'))}", 1)


def _net(plan: Plan, rng: Random, six: bool) -> str:
    segment = rng.randint(1, max(1, plan.segments))
    if six:
        return rng.choice(("::/0", f"2001:db8:{segment}::/64", f"2001:db8:{segment}::{rng.randint(1, 3)}/128"))
    return rng.choice(("0.0.0.0/0", "10.0.0.0/8", f"10.{segment}.0.0/24", f"10.{segment}.0.{rng.randint(1, 3)}/32"))
