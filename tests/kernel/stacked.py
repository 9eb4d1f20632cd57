"""Devices that not every kernel can make: VLANs, bonds, dummies, macvlans, ipvlans, VRFs.

Where the kernel has them, one host in three is wired with them; the others, and all hosts on a kernel that lacks them, are
what their seed always made of them. ipvlan and VRF are not modelled: there the walk has to say so, and the host is marked
``unknowable``, as one with a bond that spreads its packets.
"""

from __future__ import annotations

import subprocess
from random import Random

from . import tracked
from .topology import Plan

KINDS = ("vlan", "dummy", "bond", "macvlan", "ipvlan", "vrf")
EVERY = 3
_PROBE = """
ip link add p0 type veth peer name p1 || exit
ip link add x1 link p0 type vlan id 2 && echo vlan
ip link add x2 type dummy && echo dummy
ip link add x3 type bond && echo bond
ip link add x4 link p0 type macvlan && echo macvlan
ip link add x5 link p1 type ipvlan && echo ipvlan
ip link add x6 type vrf table 9 && echo vrf
"""


def makeable() -> frozenset[str]:
    """The kinds that the running kernel can make; none at all unless VLANs, bonds and dummies are among them. And whether its bridges
    track connections (``tracked``)."""
    done = subprocess.run(["unshare", "-n", "sh", "-c", _PROBE], capture_output=True, text=True)
    found = frozenset(done.stdout.split())
    return (found if found >= {"vlan", "bond", "dummy"} else frozenset()) | tracked.found()


def wanted(index: int, kinds: frozenset[str]) -> bool:
    return bool(kinds & set(KINDS)) and index % EVERY == EVERY - 1


class StackedPlan(Plan):
    """A plan whose cables carry more than plain Ethernet between two addresses."""

    def __init__(self, rng: Random, kinds: frozenset[str]) -> None:
        super().__init__(rng)
        self.kinds = kinds
        self.unknowable = False

    def point_to_point(self, a: str, b: str) -> None:
        # Devices are made namespace by namespace, and what lies on a far end can only be made after it.
        shapes = ["plain"] + ["vlan", "vlan", "bond", "bond"] * (self.names.index(a) < self.names.index(b))
        shape = self.rng.choice(shapes)
        if shape == "vlan":
            self._vlans(a, b)
        elif shape == "bond":
            self._bonds(a, b)
        else:
            super().point_to_point(a, b)

    def _vlans(self, a: str, b: str) -> None:
        rng = self.rng
        near, far = self.veth(a, b)
        if self.chance(0.4):
            self._addresses(a, near, b, far)  # untagged packets have a use on this cable, too
        for vid in rng.sample((2, 5, 4094), rng.choice((1, 1, 2))):
            protocol = " protocol 802.1ad" if self.chance(0.15) else ""
            upper, lower = [], {a: near, b: far}
            for ns in (a, b):
                mine = vid + 1 if self.chance(0.04) and vid == 2 else vid
                upper.append(self._on_top(ns, lower[ns], "v", f"vlan{protocol} id {mine}", self.chance(0.15)))
                if not self.chance(0.03):
                    self.ip(ns, f"link set {upper[-1]} up")
            self._addresses(a, upper[0], b, upper[1])

    def _on_top(self, ns: str, lower: str, letter: str, kind: str, own_address: bool) -> str:
        name, mac = self._device(ns, letter)
        if not own_address:
            self.macs[name] = self.macs[lower]
        self.ip(ns, f"link add link {lower} name {name}{f' address {mac}' if own_address else ''} type {kind}")
        return name

    def _addresses(self, a: str, near: str, b: str, far: str) -> None:
        self.segments += 1
        segment = self.segments
        self.address(a, near, segment, 1, far, b)
        self.address(b, far, segment, 2, near, a)

    def _bonds(self, a: str, b: str) -> None:
        """Two cables between two bonds; what one end takes for the active one may not be what the other end does."""
        rng = self.rng
        mode = rng.choice(("balance-rr", "balance-xor", "broadcast")) if self.chance(0.08) else "active-backup"
        self.unknowable = self.unknowable or mode != "active-backup"
        cables = [self.cable(a, b) for _ in range(2)]
        bonds = []
        for side, ns in enumerate((a, b)):
            bond, mac = self._device(ns, "bo")
            bonds.append(bond)
            self.ip(ns, f"link add {bond} address {mac} type bond mode {mode}")
            for cable in cables:
                self.ip(ns, f"link set {cable[side]} master {bond}")
                self.macs[cable[side]] = mac
            self.ip(ns, f"link set {bond} up")
            if self.chance(0.15) and mode == "active-backup":
                self.ip(ns, f"link set {bond} type bond active_slave {cables[1][side]}")
            if self.chance(0.06):
                self.ip(ns, f"link set {rng.choice(cables)[side]} down")
        self._addresses(a, bonds[0], b, bonds[1])


def after_wiring(plan: StackedPlan) -> None:
    """What is put beside or on top of the wires that are there."""
    rng = plan.rng
    cables = [(i.ns, i.dev, i.segment) for i in plan.interfaces for a, near, b, _ in plan.veths[::2]
              if i.dev == near]  # made by its own side: what lies on top can be made right after it
    kinds = ["dummy", "dummy", "macvlan", "macvlan", "macvlan", "ipvlan", "vrf", "", ""]
    kind = rng.choice([kind for kind in kinds if not kind or kind in plan.kinds])
    if kind == "dummy":
        ns = rng.choice(plan.names)
        dummy, mac = plan._device(ns, "d")
        plan.ip(ns, f"link add {dummy} address {mac} type dummy")
        if not plan.chance(0.05):
            plan.ip(ns, f"link set {dummy} up")
        plan.segments += 1
        plan.address(ns, dummy, plan.segments, 1)
    elif kind in ("macvlan", "ipvlan") and cables:
        ns, lower, segment = rng.choice(cables)
        mode = rng.choice(("bridge", "bridge", "bridge", "vepa", "private", "passthru")) if kind == "macvlan" else rng.choice(("l2", "l3"))
        for host in range(3, 3 + (rng.choice((1, 2)) if mode != "passthru" else 1)):
            if len(plan.names) < 8:
                guest = plan.namespace()
                name, mac = plan._device(guest, "m")
                if kind == "ipvlan":
                    plan.macs[name] = plan.macs[lower]
                address = f" address {mac}" if kind == "macvlan" else ""
                plan.ip(ns, f"link add link {lower} name {name}{address} netns NETNS({guest}) type {kind} mode {mode}")
                plan.ip(guest, f"link set {name} up")
                plan.address(guest, name, segment, host)
        plan.unknowable = plan.unknowable or kind == "ipvlan"
    elif kind == "vrf":
        ns = rng.choice(plan.names)
        name, _ = plan._device(ns, "r")
        plan.ip(ns, f"link add {name} type vrf table 77")
        plan.ip(ns, f"link set {name} up")
        for dev in dict.fromkeys(i.dev for i in plan.interfaces if i.ns == ns and i.dev != "lo"):
            if plan.chance(0.6):
                plan.ip(ns, f"link set {dev} master {name}")
        plan.unknowable = True
