"""A walk as data: what happened to one packet, stage by stage. Rendered by ``render``, explained by ``explain``.

The JSON contract (``pktdiag.trace/1``) is made from these by ``render.trace_json`` and nowhere else.
"""

from __future__ import annotations

from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Verdicts: a closed set. LOST_VERDICTS are those for which the packet did not get through.
DELIVERED, LEFT_HOST, DROPPED, REJECTED, DEPENDS = "delivered", "left-host", "dropped", "rejected", "depends"
VERDICTS = (DELIVERED, LEFT_HOST, DROPPED, REJECTED, DEPENDS)
THROUGH_VERDICTS = frozenset((DELIVERED, LEFT_HOST))


class RuleRef(NamedTuple):
    """Names one rule (or policy) so that its owner can find it."""

    netns: str
    """``net:[INODE]``"""
    backend: str
    """"nft", "iptables-nft", "iptables-legacy", "ebtables-nft", "ebtables-legacy", "arptables-…"."""
    family: str
    """"ip", "ip6", "inet", "arp", "bridge", "netdev"."""
    table: str
    chain: str
    handle: int | None
    """nft rule handle; None for a policy or a legacy rule."""
    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody calls on a record
    """1-based position in the chain, as ``iptables -L --line-numbers`` counts; 0 for the chain's policy."""
    text: str
    """The rule as its own tool prints it (``nft list`` body, or ``-A FORWARD -i eth0 -j DROP``)."""
    show: str
    """The command that shows it."""
    packets: int | None
    bytes: int | None
    """Its counter as read, or None where it has none."""


class Clause(NamedTuple):
    """One part of a rule and whether it matched this packet."""

    text: str
    matched: bool | None
    """None: not evaluated (an earlier clause failed) or not knowable."""


class Step(NamedTuple):
    """One thing that happened at one stage."""

    netns: str
    stage: str
    """One of ``walk.stages.STAGES``."""
    device: str
    """Interface name, or ""."""
    text: str
    """One plain sentence, raw names in it (the renderers escape)."""
    rule: RuleRef | None = None
    clauses: tuple[Clause, ...] = ()
    detail: dict[str, Any] | None = None
    """Facts for machines: {"route": …}, {"nat": …}, {"condition": …}; JSON-serialisable."""
    packet: Packet | None = None
    """The packet as it stands after this step, where the step changed it."""
    piece: tuple[int, int] | None = None
    """Which fragment of how many it happened to, where this host has cut the packet."""


class Sighting(NamedTuple):
    """What a packet tap on one device shows for this packet."""

    netns: str
    device: str
    direction: str
    """"in" or "out"."""
    packet: Packet


class Receiver(NamedTuple):
    """Who got it. ``socket`` is like "udp 0.0.0.0:8000"; pid/process/container None where unknown (e.g. the kernel
    itself answers an echo request: process "kernel")."""

    netns: str
    pid: int | None
    process: str | None
    container: str | None
    socket: str | None


class Drop(NamedTuple):
    """Where and why it ended."""

    reason: str
    """SKB_DROP_REASON name without the prefix, as include/net/dropreason-core.h: "NETFILTER_DROP", "NO_SOCKET"."""
    stage: str
    netns: str
    device: str
    rule: RuleRef | None
    counters: tuple[str, ...]
    """nstat names that this drop moves, e.g. ("UdpNoPorts", "IcmpOutDestUnreachs")."""
    text: str
    """Plain words: what happened and why."""
    answer: str | None = None
    """For a rejection: what is sent back ("icmp port-unreachable", "tcp reset")."""
    cause: str = ""
    """kebab-case code of the mechanism, e.g. "forward-policy-drop"; ``explain`` keys its fixes on it."""
    because: Drop | None = None
    """The loss behind this one: what became of the ARP request nobody answered."""
    piece: str = ""
    """"fragment 2 of 3": what was lost, and with it the datagram that this host has cut; "" for the packet itself."""


class Fate(NamedTuple):
    """The end of one copy of the packet."""

    verdict: str
    packet: Packet
    receiver: Receiver | None
    drop: Drop | None
    netns: str
    device: str
    duplicate: bool = False
    """Of a copy that a rule sent elsewhere (TEE, dup): not what was asked about."""
    mark: int = 0
    """skb mark."""
    piece: tuple[int, int, int, int, int] | None = None
    """While the walk goes on, of a fragment of a datagram cut in it: the datagram's number, its first byte, the byte behind its last,
    which of how many it is."""


class Outcome(NamedTuple):
    """One of several possible results, with the conditions under which it holds."""

    conditions: tuple[str, ...]
    fate: Fate
    sightings: tuple[Sighting, ...]


class Leg(NamedTuple):
    """One direction of an exchange, walked."""

    verdict: str
    packet: Packet
    receiver: Receiver | None
    drop: Drop | None
    sightings: tuple[Sighting, ...]
    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]
    """Empty unless verdict is ``depends``."""
    rules_hit: tuple[RuleRef, ...]
    """Every rule whose counter this packet moves (all clauses before its counter matched), in order; policies too."""
    counters: tuple[tuple[str, str], ...]
    """(netns, nstat name) for every SNMP/TcpExt counter the packet moves on its way, in order, repeated if moved twice."""
    assumptions: tuple[str, ...]
    """What the question left open and the walk had to assume, each with the flag that settles it."""
    mark: int | None = 0
    """skb mark of the packet as it ends up; None: a condition that changes nothing else about the packet gives it one or another."""
    maybe_hit: tuple[RuleRef, ...] = ()
    """Rules whose counter moves or not by a condition that changes nothing else about the packet."""
    maybe_counted: tuple[tuple[str, str], ...] = ()
    """As ``counters``: those that move or not by such a condition, say of a copy of a broadcast."""
    maybe_seen: tuple[Sighting, ...] = ()
    """As ``sightings``: later fragments of a datagram that is lost with another fragment, or not, which taps see or not by such a
    condition."""


class Fix(NamedTuple):
    """A change that would let the packet through."""

    why: str
    commands: tuple[str, ...]
    verified: bool
    """True only when the packet was walked again with the change in place and got through."""


class Trace(NamedTuple):
    """The whole answer."""

    verdict: str
    summary: str
    request: Leg
    reply: Leg | None
    fixes: tuple[Fix, ...]
    gaps: tuple[str, ...]
    evidence: tuple[str, ...] = ()
    """Checkable statements behind the summary, each with the command or file that shows it (why-dropped)."""
