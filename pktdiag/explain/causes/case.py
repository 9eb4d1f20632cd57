"""What a cause is judged by, and what it answers."""

from __future__ import annotations

from pktdiag.explain.whatif.changes import Change
from pktdiag.model.kernel import AF_INET
from pktdiag.model.packet import Packet
from pktdiag.model.question import Question
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import Drop, Leg, Trace
from pktdiag.model.view import HostView, NamespaceView


class Case(NamedTuple):
    """One loss: the question, its trace, and the place where it ended."""

    host: HostView
    question: Question
    trace: Trace
    leg: Leg
    drop: Drop
    ns: NamespaceView
    """Where it was lost."""
    is_reply: bool
    """The answer was lost, not the request."""

    @property
    def packet(self) -> Packet:
        """The packet as it was when it was lost."""
        return self.leg.packet

    @property
    def lost(self) -> Packet:
        """As rules see what was lost: of the packet's later fragments none bears ports."""
        later = self.drop.piece and not self.drop.piece.startswith("fragment 1 ")
        return self.packet._replace(fragment_offset=8) if later else self.packet


class Proposal(NamedTuple):
    """A change worth trying, not yet walked."""

    why: str
    commands: tuple[str, ...]
    changes: tuple[Change, ...]
    """Empty: it cannot be tried on a view (restart an engine, change an application)."""
    first: bool = False
    """What mends the cause itself, to be named before changes that merely help this packet."""


class Finding(NamedTuple):
    """The cause."""

    summary: str
    """One sentence, cause first."""
    evidence: tuple[str, ...]
    """Checkable statements, each with the command or file that shows it."""
    proposals: tuple[Proposal, ...]


def place(case: Case, ns: NamespaceView | None = None) -> str:
    """What people call a namespace: "the host", "container web1", "namespace red"."""
    ns = ns or case.ns
    container = case.host.container_of(ns.id)
    if container:
        return f"container {container}"
    if ns.id == case.host.current_namespace().id:
        return "this host"
    return f"namespace {ns.names[0]}" if ns.names else f"namespace {ns.id}"


def inside(case: Case, command: str, ns: NamespaceView | None = None) -> str:
    """The command as it has to be typed to run in that namespace."""
    ns = ns or case.ns
    if ns.id == case.host.current_namespace().id:
        return command
    processes = case.host.processes_in(ns.id)
    if processes:
        return f"nsenter -t {min(process.pid for process in processes)} -n {command}"
    for name in ns.names:
        if name.startswith("/"):
            return f"nsenter --net={word(name)} {command}"
        if name != "host" and not name.startswith("pid:"):
            return f"ip netns exec {word(name)} {command}"
    return command


def ip_tool(case: Case) -> str:
    """iproute2, for the packet's family."""
    return "ip" if case.packet.family == AF_INET else "ip -6"


def word(text: str) -> str:
    """``text`` as one word of a POSIX shell: an interface may well be called ``a;reboot``."""
    if text and all(letter.isascii() and (letter.isalnum() or letter in "@%+=:,./-_") for letter in text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"
