"""An outside view: real hosts, a real ``pktdiag … --json`` process, the real packet, and what became of it.

Knows of pktdiag only what its documents promise. Namespaces carry the prefix ``pdct`` and the process id.
"""

from __future__ import annotations

import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.kernel.frames import Seen, answer_to, seen
from tests.kernel.observe import merge
from tests.kernel.send import Sender, make_tag
from tests.stories.witness import Drops, entered, keep_timestamps_on

from .schema import check_trace

ROOT = Path(__file__).parent.parent.parent
QUIET, LONGEST = 0.03, 2.0
HOUSEKEEPING = {"QUEUE_PURGE", "SOCKET_FILTER", "NOT_SPECIFIED", "NEIGH_FAILED"}
"""Reasons that closing sockets, the filter on a connecting socket (see tests.kernel.send) and neighbour questions give."""


class Place:
    """One namespace."""

    def __init__(self, name: str) -> None:
        self.name, self.path = name, f"/run/netns/{name}"
        self.id = f"net:[{os.stat(self.path).st_ino}]"

    def inside(self) -> Any:
        return entered(self.path)

    def counters(self) -> dict[str, int]:
        """What nstat prints, by name."""
        values: dict[str, int] = {}
        with entered(self.path):
            for name in ("snmp", "netstat"):
                lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()
                for keys, numbers in zip(lines[::2], lines[1::2]):
                    head = keys.split(":")[0]
                    values.update({head + k: int(v) for k, v in zip(keys.split()[1:], numbers.split()[1:])})
            for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines():
                key, value = line.split()
                values[key] = int(value)
        return values


class Listening(NamedTuple):
    ns: str
    proto: str
    sock: socket.socket
    text: str


class Truth(NamedTuple):
    request: list[tuple[Any, ...]]
    answer: list[tuple[Any, ...]]
    receivers: list[Listening]
    reasons: set[str]
    """Of the whole machine in that time; others may be at work on it."""
    own: set[str]
    """Those while this process was sending: softirq work runs inside the send."""
    moved: dict[str, dict[str, int]]
    error: str
    last: list[Seen]


class Lab:
    """Namespaces ``a``, ``b``… under short names; everything is gone after ``close``."""

    number = 1

    def __init__(self, name: str) -> None:
        self.prefix = f"pdct{os.getpid()}{name}"
        self.places: dict[str, Place] = {}
        self.namespaces = self.places  # what tests.kernel.send looks at
        self.begun: dict[tuple[str, int, str, int], int] = {}  # likewise
        self.listeners: list[Listening] = []
        self._stamps = keep_timestamps_on()
        self._processes: list[subprocess.Popen[str]] = []

    # -- building ---------------------------------------------------------------------------------------------------
    def netns(self, *names: str) -> None:
        for name in names:
            run("ip", "netns", "add", self.prefix + name)
            self.places[name] = Place(self.prefix + name)
            self.sh(name, "ip link set lo up; sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 "
                    "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0; "
                    "sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000 2>/dev/null || true")

    def name(self, short: str) -> str:
        return self.prefix + short

    def wire(self, a: str, dev: str, b: str, peer: str) -> None:
        run("ip", "link", "add", dev, "netns", self.name(a), "type", "veth", "peer", "name", peer, "netns", self.name(b))
        for where, what in ((a, dev), (b, peer)):
            self.up(where, what)

    def up(self, ns: str, dev: str) -> None:
        """Up, with addresses usable at once and unanswered neighbour questions given up within a tenth of a second."""
        self.sh(ns, f"sysctl -qw net.ipv6.conf.{dev}.accept_dad=0 " + " ".join(
            f"net.{ip}.neigh.{dev}.{what}" for ip in ("ipv4", "ipv6") for what in ("retrans_time_ms=30", "mcast_solicit=2"))
            + f"; ip link set {dev} up")

    def sh(self, ns: str, script: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.prefix}{ns}", "sh", "-ec", script)

    def listen(self, ns: str, proto: str, address: str, port: int, *, dual: bool = False, text: str = "") -> Listening:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.places[ns].inside():
            sock = socket.socket(family, socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
        sock.bind((address, port))
        if proto == "tcp":
            sock.listen(8)
        sock.setblocking(False)
        shown = f"[{address}]" if family == socket.AF_INET6 else address
        made = Listening(ns, proto, sock, text or f"{proto} {shown}:{port}")
        self.listeners.append(made)
        return made

    def close(self) -> None:
        for listener in self.listeners:
            listener.sock.close()
        for process in self._processes:
            process.kill()
            process.communicate()
        self._stamps.close()
        for place in self.places.values():
            subprocess.run(["ip", "netns", "delete", place.name], capture_output=True, check=False)

    def pair(self) -> None:
        """src --- dst: 198.51.100.1 and .2, 2001:db8:1::1 and ::2, each on its eth0."""
        self.netns("src", "dst")
        self.wire("src", "eth0", "dst", "eth0")
        for name, last in (("src", 1), ("dst", 2)):
            self.sh(name, f"ip a add 198.51.100.{last}/24 dev eth0; ip a add 2001:db8:1::{last}/64 dev eth0 nodad")

    # -- asking -----------------------------------------------------------------------------------------------------
    def ask(self, at: str, *words: str, command: str = "why-dropped") -> dict[str, Any]:
        """The answer as an outside program gets it, held to the contract; ``exit`` is the status."""
        done = pktdiag(command, *words, "--json", netns=self.name(at))
        assert done.returncode in (0, 1, 3) and not done.stderr, (words, done.returncode, done.stdout[-300:], done.stderr)
        document: dict[str, Any] = json.loads(done.stdout)
        check_trace(document, done.returncode, fixes=command == "why-dropped")
        return document

    # -- sending ----------------------------------------------------------------------------------------------------
    @contextmanager
    def _taps(self) -> Iterator[dict[int, tuple[socket.socket, Place]]]:
        taps = {}
        for place in self.places.values():
            with place.inside():
                tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            tap.setsockopt(socket.SOL_SOCKET, 35, 1)
            tap.setblocking(False)
            taps[tap.fileno()] = (tap, place)
        try:
            yield taps
        finally:
            for tap, _ in taps.values():
                tap.close()

    def send(self, spec: dict[str, Any], longest: float = LONGEST, expected: int = 0) -> Truth:
        """Sends it and waits until it is quiet and ``expected`` sightings were made, for ``longest`` at most."""
        Lab.number += 1
        spec = {"how": "socket", "src": "", "sport": 0, "dport": 0, "size": 84 if spec["proto"] == "icmp" else 60, **spec}
        if spec["proto"] == "icmp" and ":" in spec["dst"]:
            spec["size"] = spec.get("size6", 104)
        elif ":" in spec["dst"] and spec["size"] == 60:
            spec["size"] = 80
        sender = Sender(self, spec, Lab.number + os.getpid() % 64 * 512)  # type: ignore[arg-type]
        tag = make_tag(spec, Lab.number + os.getpid() % 64 * 512)
        captured: list[Seen] = []
        receivers: list[Listening] = []
        drops = Drops()
        try:
            with self._taps() as taps:
                before = {place.id: place.counters() for place in self.places.values()}
                sender.send()
                ends = time.monotonic() + longest
                while True:
                    ready, _, _ = select.select([*taps, *(one.sock for one in self.listeners)], [], [], QUIET)
                    self._collect(taps, tag, captured, receivers)
                    if not ready and (sender.error or time.monotonic() > ends or sum(s.kind in ("request", "answer") for s in captured) >= expected):
                        break
                moved = {}
                for place in self.places.values():
                    now = place.counters()
                    moved[place.id] = {k: v - before[place.id].get(k, 0) for k, v in now.items() if v != before[place.id].get(k, 0)}
            reasons, own = drops.reasons(), mine(drops, str(spec["proto"]))
        finally:
            drops.close()
            sender.close()
        ordered = merge(captured)
        legs: dict[str, list[tuple[Any, ...]]] = {"request": [], "answer": []}
        for sight in ordered:
            if sight.kind in legs and (sight.proto != 6 or spec["sport"] in (sight.sport, sight.dport)):  # no retransmissions of others
                legs[sight.kind].append(flat(sight))
        if spec["how"] == "frame":
            legs["request"] = legs["request"][1:]
        return Truth(legs["request"], legs["answer"], receivers, reasons, own, moved, sender.error, ordered)

    def _collect(self, taps: dict[int, tuple[socket.socket, Place]], tag: Any, captured: list[Seen], receivers: list[Listening]) -> None:
        for tap, place in taps.values():
            while True:
                try:
                    frame, extra, _, address = tap.recvmsg(65600, 64)
                except BlockingIOError:
                    break
                except OSError:
                    continue
                seconds, nanos = struct.unpack("=qq", extra[0][2][:16]) if extra else (0, 0)
                captured.append(seen(frame, seconds * 10**9 + nanos, place.id, address, tag))
        for listener in self.listeners:
            try:
                if listener.proto == "udp":
                    data, peer = listener.sock.recvfrom(65600)
                    if tag.token in data:
                        receivers.append(listener)
                        listener.sock.sendto(data.replace(tag.token, answer_to(tag.token)), peer)
                else:
                    connection, _ = listener.sock.accept()
                    connection.close()
            except OSError:
                pass

    # -- judging ----------------------------------------------------------------------------------------------------
    def judge(self, at: str, words: tuple[str, ...], spec: dict[str, Any], *, command: str = "why-dropped", longest: float = LONGEST) -> dict[str, Any]:
        """Asks, sends, compares all that the document says with all that happened; the document."""
        document = self.ask(at, *words, command=command)
        legs = [leg for leg in (document["request"], document["reply"]) if leg is not None]
        given_up = any(leg["drop"] is not None and leg["drop"]["stage"] == "neighbour" for leg in legs)  # takes its time after the last sighting
        truth = self.send(spec, min(longest, 1.5) if given_up else longest, sum(len(leg["sightings"]) for leg in legs) + (spec.get("how") == "frame") + given_up)
        wrong = compare(document, truth)
        assert not wrong, "\n".join([" ".join(words), document["summary"], *wrong])
        return document


def mine(drops: Drops, proto: str) -> set[str]:
    """Reasons of the drops made while this thread ran. The last segments of a connection that an earlier test closed come late, and
    find no socket: those of another protocol than was sent do not count."""
    lines = (drops.path / "trace").read_text().splitlines()
    others = {"tcp", "udp", "ping"} - {"ping" if proto.startswith("icmp") else proto}
    found = set()
    for line in lines:
        match = re.search(r"location=(\w+).* reason: (\w+)", line)
        if match and f"-{os.getpid()} " in line[:40] and not (match[2] == "NO_SOCKET" and any(other in match[1] for other in others)):
            found.add(match[2])
    return found


def flat(sight: Seen) -> tuple[Any, ...]:
    ports = (sight.sport, sight.dport) if sight.proto in (6, 17, 132, 33, 136) else (None, None)
    proto = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(sight.proto, str(sight.proto))
    return (sight.netns, sight.device, sight.direction, sight.src, sight.dst, *ports, proto)


def told(leg: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(s[k] for k in ("netns", "device", "direction", "src", "dst", "sport", "dport", "proto")) for s in leg["sightings"]]


def compare(document: dict[str, Any], truth: Truth) -> list[str]:
    """What the document says and the kernel did otherwise, in words."""
    request, reply = document["request"], document["reply"]
    if request["verdict"] == "depends":
        return ["it depends: " + "; ".join(o["condition"] for o in request["outcomes"])]
    wrong = []
    if told(request) != truth.request:
        wrong.append(f"request sightings\n  told {told(request)}\n  seen {truth.request}")
    if reply is not None and reply["verdict"] == "depends":
        wrong.append("the reply depends: " + "; ".join(o["condition"] for o in reply["outcomes"]))
    elif (told(reply) if reply is not None else []) != truth.answer:
        limits = {k: v for moved in truth.moved.values() for k, v in moved.items() if "RateLimit" in k or "IcmpOut" in k}
        wrong.append(f"reply sightings\n  told {told(reply) if reply else None}\n  seen {truth.answer}\n  counted {limits}")
    receiver = request["receiver"]
    if truth.receivers:
        real = truth.receivers[0]
        if receiver is None or (receiver["pid"], receiver["socket"]) != (os.getpid(), real.text):
            wrong.append(f"receiver told {receiver}, was {real.ns} {real.text}")
    elif receiver is not None and receiver["process"] != "kernel" and not receiver["socket"].startswith("tcp"):
        wrong.append(f"receiver told {receiver}, nobody got it")
    for leg in (request, reply):
        if leg is None or leg["drop"] is None:
            continue
        drop = leg["drop"]
        if drop["reason"] not in truth.reasons and not (truth.error and not told(leg)):  # refused before there was a packet
            wrong.append(f"reason {drop['reason']} told, the kernel said {truth.reasons}")
        moved = truth.moved.get(drop["netns"], {})
        missing = [name for name in drop["counters"] if not moved.get(name)]
        if missing:
            wrong.append(f"counters {missing} did not move, but {moved}")
    benign = HOUSEKEEPING | ({"NO_SOCKET"} if request["packet"]["proto"].startswith("icmp") else set())  # ping_rcv() has none for the echo
    if request["drop"] is None and truth.own - benign and (reply is None or reply["drop"] is None):
        wrong.append(f"no drop told, the kernel said {truth.own}")
    return wrong


def run(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def pktdiag(*words: str, netns: str | None = None, stdin: str | None = None, prefix: tuple[str, ...] = (), cwd: str | None = None,
            **environment: str) -> subprocess.CompletedProcess[str]:
    """A real process; ``netns``: full name of an ``ip netns`` to stand in."""
    enter = ("nsenter", f"--net=/run/netns/{netns}") if netns else ()
    return subprocess.run([*enter, *prefix, sys.executable, "-m", "pktdiag", *words], cwd=cwd or ROOT, capture_output=True, text=True, timeout=120,
                          input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
