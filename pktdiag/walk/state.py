"""The state of one replay of one exchange: what has been seen, decided, and still waits in the backlog.

The walk is replayed from its start for each combination of unknowable conditions (``explore``), so this object lives
for one replay only and stage code may change it freely.
"""

from __future__ import annotations

from pktdiag.model.host import Link, Socket
from pktdiag.model.packet import Packet
from pktdiag.model.question import Question
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import (
    DELIVERED,
    DEPENDS,
    DROPPED,
    LEFT_HOST,
    REJECTED,
    Clause,
    Drop,
    Fate,
    Receiver,
    RuleRef,
    Sighting,
    Step,
)
from pktdiag.model.view import HostView, NamespaceView, Unreadable
from pktdiag.netfilter.context import Skb, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from typing import Any

    from pktdiag.walk.pieces import Piece
else:
    from _collections import deque

MAX_EVENTS = 2000
"""Frames handled in one replay before the walk calls it a loop (a bridge loop without STP floods for ever)."""

MAX_SIGHTINGS = 400

XMIT_ERROR = "xmit error"
"""Key of ``Walk.memory``: a device has refused what it was just given, and says so to who gave it."""

_RANK = {DELIVERED: 0, LEFT_HOST: 1, DEPENDS: 2, REJECTED: 3}
_BYSTANDER_CAUSES = frozenset(("otherhost", "flood-copy", "headless-copy"))


def rank(fate: Fate) -> tuple[int, bool, bool]:
    """Of several copies' ends the lowest answers the question: whoever got it, else the most telling loss."""
    drop = fate.drop
    return _RANK.get(fate.verdict, 4), drop is not None and drop.cause in _BYSTANDER_CAUSES, drop is not None and not drop.reason


class Answer(NamedTuple):
    """A packet the kernel (or a listener's protocol) sends in answer; the reply leg starts with it."""

    ns: NamespaceView
    packet: Packet
    kind: str
    """"syn-ack", "udp-reply", "echo-reply", "rst", "icmp-error"."""
    mark: int
    oif: int
    """Device the answer is bound to, 0 for none."""
    skb: Skb
    """The packet answered; its connection carries over to ICMP errors and resets (nf_ct_attach)."""
    header_included: bool = False
    raw_device: Link | None = None
    """The answer is a frame sent straight out of this device."""
    rejected_by: int = 0
    """NFPROTO_BRIDGE, NFPROTO_NETDEV: a rule of this family made the frame, which is no connection's."""
    sock: Socket | None = None
    """The socket whose packet it is, where rules that look at the owner can see one; the kernel's own answers have none."""


class LegRecord:
    """What one direction of the exchange leaves behind, while it is being walked."""

    __slots__ = ("answers", "counters", "fates", "hits", "last_packet", "sightings", "steps", "uncertain")

    def __init__(self, packet: Packet) -> None:
        self.steps: list[Step] = []
        self.sightings: list[Sighting] = []
        self.fates: list[Fate] = []
        self.hits: list[RuleRef] = []
        self.counters: list[tuple[str, str]] = []
        self.answers: list[Answer] = []
        self.last_packet = packet
        self.uncertain: list[RuleRef] = []


class Walk:
    """One replay. Stages call :meth:`step`, :meth:`sight`, :meth:`count` and end each copy with :meth:`drop`,
    :meth:`deliver`, :meth:`leave`, :meth:`unsure` or :meth:`swallow`."""

    def __init__(self, host: HostView, question: Question, chooser: Callable[[str], bool]) -> None:
        self.host = host
        self.question = question
        self.conns: dict[Any, Any] = {}
        """Connections of this exchange, keyed by ``conntrack.track``: (netns id, zone, tuple)."""
        self.learned_fdb: dict[tuple[str, int, bytes, int], int] = {}
        """(netns id, bridge ifindex, mac, vlan) -> port ifindex, learned from this walk's own frames."""
        self.learned_neighbours: dict[tuple[str, int, bytes], bytes] = {}
        """(netns id, ifindex, address) -> lladdr, learned from this walk's own ARP / ND exchanges."""
        self.assumptions: list[str] = list(question.assumptions)
        self.memory: dict[Any, Any] = {}
        """Whatever a module needs to remember during one replay, keyed by (module name, …)."""
        self.leg = LegRecord(question.packet)
        self.backlog: deque[tuple[Callable[[], None], NamespaceView, Link | None, Skb]] = deque()
        self.copying = False
        """While a copy that a rule sent elsewhere is on its way (``copies``)."""
        self.silent = 0
        """Above zero while something is only simulated (an ARP exchange): nothing is recorded."""
        self.piece: Piece | None = None
        """The fragment that is on its way now, of a datagram cut in this walk (``pieces``)."""
        self.most = 1
        """Into how many fragments a datagram was cut."""
        self.draining = False
        """In softirq context: frames are taken from the backlog."""
        self._chooser = chooser
        self._consistent: dict[object, bool] = {}
        self._events = 0

    # -- deciding ------------------------------------------------------------------------------------------------
    def decide(self, condition: Unknown, consistent_key: object = None) -> bool:
        """True in one replay, False in another; the same key gets the same answer within one replay."""
        if consistent_key is not None and consistent_key in self._consistent:
            return self._consistent[consistent_key]
        answer = self._chooser(condition.condition)
        if consistent_key is not None:
            self._consistent[consistent_key] = answer
        return answer

    def assume(self, text: str) -> None:
        if text not in self.assumptions:
            self.assumptions.append(text)

    # -- what is only imagined: a question to a neighbour, an order of rules that may not be the kernel's --------------
    def overhear(self, *names: str) -> dict[str, Any]:
        """From here on nothing is recorded; what was remembered under ``names`` is set aside until :meth:`listen_again`."""
        self.silent += 1
        return {name: self.memory.pop(name, None) for name in names}

    def listen_again(self, set_aside: dict[str, Any]) -> None:
        self.silent -= 1
        for name, value in set_aside.items():
            self.memory.pop(name, None)
            if value is not None:
                self.memory[name] = value

    # -- recording -----------------------------------------------------------------------------------------------
    def step(self, ns: NamespaceView, stage: str, device: Link | None, text: str, *, rule: RuleRef | None = None,
             clauses: tuple[Clause, ...] = (), detail: dict[str, Any] | None = None, packet: Packet | None = None) -> None:
        if not self.silent:
            text = f"The copy: {text}" if self.copying else text
            piece = self.piece
            self.leg.steps.append(Step(ns.id, stage, device.name if device else "", text, rule, clauses, detail, packet,
                                       None if piece is None else (piece.number, piece.of)))

    def sight(self, ns: NamespaceView, device: Link, direction: str, skb: Skb) -> None:
        """A packet tap on ``device`` sees the packet now."""
        if not self.silent and len(self.leg.sightings) < MAX_SIGHTINGS * self.most:
            self.leg.sightings.append(Sighting(ns.id, device.name, direction, skb.packet))

    def count(self, ns: NamespaceView, *names: str) -> None:
        """SNMP / TcpExt counters (nstat names) that move here."""
        if not self.silent:
            self.leg.counters.extend((ns.id, name) for name in names)

    def hit(self, rule: RuleRef) -> None:
        if self.silent:
            self.memory.setdefault("silent-hits", []).append(rule)
        else:
            self.leg.hits.append(rule)

    def answer(self, answer: Answer) -> None:
        if not self.silent and not self.copying:
            self.leg.answers.append(answer)

    # -- the ends of a copy -----------------------------------------------------------------------------------------
    def _end(self, fate: Fate, skb: Skb) -> None:
        piece = skb.extra.get("piece")
        if piece is not None:
            fate = fate._replace(piece=piece.span())  # type: ignore[attr-defined]
        if self.silent:
            self.memory.setdefault("silent-ends", []).append(fate)
        else:
            self.leg.fates.append(fate._replace(duplicate=True) if self.copying else fate)

    def drop(self, ns: NamespaceView, stage: str, device: Link | None, skb: Skb, reason: str, text: str, *,
             rule: RuleRef | None = None, counters: tuple[str, ...] = (), cause: str = "", answer: str | None = None,
             because: Drop | None = None) -> None:
        """The packet ends here. ``counters`` are moved (do not :meth:`count` them too). With ``answer`` it is a rejection."""
        name = device.name if device else ""
        self.count(ns, *counters)
        drop = Drop(reason, stage, ns.id, name, rule, counters, text, answer, cause, because)
        self.step(ns, stage, device, text, rule=rule, detail={"drop": reason})
        self._end(Fate(REJECTED if answer else DROPPED, skb.packet, None, drop, ns.id, name, mark=skb.mark), skb)

    def deliver(self, ns: NamespaceView, device: Link | None, skb: Skb, receiver: Receiver, text: str) -> None:
        self.step(ns, "socket", device, text, detail={"receiver": receiver.socket})
        self._end(Fate(DELIVERED, skb.packet, receiver, None, ns.id, device.name if device else "", mark=skb.mark), skb)

    def leave(self, ns: NamespaceView, device: Link, skb: Skb, text: str) -> None:
        """Handed to a device whose other end is not on this host."""
        self.step(ns, "device-transmit", device, text)
        self._end(Fate(LEFT_HOST, skb.packet, None, None, ns.id, device.name, mark=skb.mark), skb)

    def unsure(self, ns: NamespaceView, stage: str, device: Link | None, skb: Skb, condition: str) -> None:
        """The walk cannot go on: beyond here nothing is known. ``condition`` says on what it depends."""
        name = device.name if device else ""
        if self.silent:
            self.memory.setdefault("doubts", []).append(condition)
        self.step(ns, stage, device, f"It depends on {condition}.", detail={"condition": condition})
        drop = Drop("", stage, ns.id, name, None, (), condition, None, "unknown")
        self._end(Fate(DEPENDS, skb.packet, None, drop, ns.id, name, mark=skb.mark), skb)

    # -- the softirq backlog --------------------------------------------------------------------------------------
    def enqueue(self, event: Callable[[], None], ns: NamespaceView, device: Link | None, skb: Skb) -> None:
        """netif_rx(): the frame waits in the per-CPU backlog; first in, first out (net/core/dev.c enqueue_to_backlog)."""
        self.backlog.append((event, ns, device, skb))

    def in_process(self, skb: Skb) -> bool:
        """Whether a program is just sending ``skb``: softirqs run as soon as it is handed to a device."""
        return not (self.draining or self.copying or skb.iif or self.memory.get("xmit-depth")) and \
            skb.extra.get("answer_kind") in (None, "udp-reply")

    def run_backlog(self) -> None:
        """process_backlog(): until nothing waits."""
        was, self.draining = (self.copying, self.draining, self.piece), True
        while self.backlog:
            event, ns, device, skb = self.backlog.popleft()
            self.copying = "duplicate" in skb.extra
            self.piece = skb.extra.get("piece")  # type: ignore[assignment]
            self._events += 1
            if self._events > MAX_EVENTS * self.most:
                self.backlog.clear()
                self.unsure(ns, "device-receive", device, skb, "a forwarding loop: the packet was still circulating "
                            f"after {self._events - 1} frames")
                break
            self.guarded(event, ns, device, skb)
        self.copying, self.draining, self.piece = was

    def guarded(self, event: Callable[[], None], ns: NamespaceView, device: Link | None, skb: Skb) -> None:
        """Runs one event; what could not be read becomes a condition instead of an error."""
        try:
            event()
        except Unreadable as error:
            gap = error.gap
            remedy = f" ({gap.remedy})" if gap.remedy else ""
            self.unsure(ns, "device-receive", device, skb, f"{gap.what}, which could not be read: {gap.why}{remedy}")
