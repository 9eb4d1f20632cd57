"""Every command and every option, declared once.

Two parsers are made from this table: ``fastlane`` (a few lines, no imports, for the common command line) and ``app``
(Typer: help, completion, errors). Importing Typer costs about 50 ms, twice what the answer itself takes, so a
``trace`` whose options are all plainly there never loads it. ``tests/cli/test_fastlane.py`` proves that both parse alike.
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TEXT, INT, FLAG, TOGGLE = "text", "int", "flag", "toggle"
"""How an option takes its value: any text; a decimal number; present or not; ``--x/--no-x`` with "not said" between."""


class Option(NamedTuple):
    """One ``--option``."""

    name: str
    """Without the dashes."""
    kind: str
    help: str
    metavar: str = ""
    default: Any = None

    @property
    def dest(self) -> str:
        """The key under which its value is found. ``in`` and ``for`` are words of Python, hence the underscore."""
        word = self.name.replace("-", "_")
        return word + "_" if word in ("in", "for") else word


class Command(NamedTuple):
    """One command. ``run`` is "module:function"; the function takes the values by dest and returns the exit status."""

    name: str
    help: str
    run: str
    words: str
    """Metavar of its positional arguments, e.g. "[SRC] DST"; "" where it takes none."""
    options: tuple[Option, ...]
    more: str = ""
    """What its --help adds below the options."""


_JSON = Option("json", FLAG, "One JSON document on standard output, nothing else.", default=False)
_NS = Option("ns", TEXT, "The namespace to work in: a container, NAME of `ip netns`, ns:NAME, pid:N. Default: the current one.", "NAME")

_PACKET = (
    Option("state", TEXT, "Force the conntrack state: new, established, related, invalid, untracked.", "STATE"),
    Option("mark", TEXT, "Mark of the sending socket (SO_MARK), decimal or 0x….", "N"),
    Option("size", INT, "Bytes of the whole IP packet.", "BYTES"),
    Option("df", TOGGLE, "Don't-fragment bit. Default: set, as Linux sockets do."),
    Option("ttl", INT, "TTL or hop limit. Default: what the sender's namespace is set to; 64 from outside.", "N"),
    Option("dscp", TEXT, "DSCP by number or name (ef, cs1, af41).", "DSCP"),
    Option("tcp-flags", TEXT, "TCP flags: syn,ack or SA. Default: syn.", "FLAGS"),
    Option("icmp-type", TEXT, "ICMP type: name or TYPE[/CODE]. Default: echo-request.", "TYPE"),
    Option("src-mac", TEXT, "Sender's link-layer address, for a packet from outside.", "MAC"),
    Option("uid", TEXT, "User that owns the sending socket: number or name. Default: root.", "USER"),
    Option("gid", TEXT, "Group that owns it: number or name. Default: the user's own.", "GROUP"),
    Option("in", TEXT, "Interface the packet arrives on, for a packet from outside.", "IFACE"),
    _NS,
    Option("assume-empty", FLAG, "Take what only root may ask for (BPF programs on devices, ebtables) to be absent.", default=False),
    Option("from-log", TEXT, "Take the packet from a kernel LOG, tcpdump or conntrack line; - reads standard input.", "LINE"),
    _JSON,
)
_WORDS = "SRC: ADDRESS[:PORT]; without it this host sends. DST: ADDRESS[:PORT][/PROTO]. ADDRESS: an IP address, a " \
    "container, ns:NAME, pid:N or host. Without /PROTO: tcp if there is a port, else icmp."

COMMANDS: tuple[Command, ...] = (
    Command("trace", "Where would this packet go, stage by stage.", "pktdiag.cli.trace:run_trace", "[SRC] DST", _PACKET, _WORDS),
    Command("why-dropped", "Why is this packet dropped: the cause, the evidence, the fix.", "pktdiag.cli.trace:run_why", "[[SRC] DST]",
            (*_PACKET, Option("for", TEXT, "Without a packet: how long to watch the counters (5s, 500ms, 1m).", "TIME", "5s")),
            "Without a packet: what this host is dropping right now. " + _WORDS),
    Command("topology", "Namespaces, their containers, how they are connected.",
            "pktdiag.cli.topology:run", "",
            (Option("format", TEXT, "tree, dot, mermaid or json.", "FORMAT", "tree"), _JSON)),
    Command("counters", "What the kernel has counted, the suspicious first.", "pktdiag.cli.counters:run", "",
            (Option("all", FLAG, "Harmless counters too.", default=False), _NS, _JSON)),
    Command("hooks", "What runs at each netfilter hook, in the kernel's order.", "pktdiag.cli.hooks:run", "",
            (_NS, _JSON)),
    Command("demo", "An unpublished container port, shown in an isolated lab.",
            "pktdiag.cli.demo:run", "", (Option("pause", FLAG, "Wait for Enter between the acts.", default=False),)),
    Command("completion", "Prints the completion script of bash, zsh or fish.", "pktdiag.cli.completion:run", "[SHELL]", ()),
)


def command(name: str) -> Command | None:
    """The command called ``name``."""
    for candidate in COMMANDS:
        if candidate.name == name:
            return candidate
    return None


def defaults(of: Command) -> dict[str, Any]:
    """The values of a command line that says nothing."""
    values: dict[str, Any] = {option.dest: option.default for option in of.options}
    if of.words:
        values["words"] = []
    return values
