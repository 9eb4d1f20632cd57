"""A container host in namespaces of its own, and what it takes to break it, ask about it, and mend it::

    out 198.51.100.2 eth0 --- eth0 198.51.100.1 host | br0 172.30.0.1: web 172.30.0.2, db 172.30.0.3
                                                     | br1 172.31.0.1: app 172.31.0.2
"""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.stories.witness import Seen, entered, watching

ROOT = Path(__file__).resolve().parents[2]
HOST, OUT, WEB, DB, APP = "198.51.100.1", "198.51.100.2", "172.30.0.2", "172.30.0.3", "172.31.0.2"
_ports = itertools.count(41000)
Json = dict[str, Any]


def run(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}\n{stdin or ''}\n{done.stdout}{done.stderr}"
    return done.stdout


class Lab:
    """The namespaces' names, and everything a test does in them."""

    def __init__(self) -> None:
        prefix = f"pdwhy{os.getpid()}"
        self.out, self.host, self.web, self.db, self.app = (prefix + name for name in ("out", "host", "web", "db", "app"))
        self.all = (self.out, self.host, self.web, self.db, self.app)
        self._sockets: list[socket.socket] = []

    # -- building ------------------------------------------------------------------------------------------------------
    def build(self) -> None:
        host = self.host
        run("ip", "-batch", "-", stdin="".join(f"netns add {name}\n" for name in self.all)
            + f"link add eth0 netns {host} type veth peer name eth0 netns {self.out}\n")
        lines = ["link add br0 type bridge", "link add br1 type bridge"]
        for name, there, bridge in (("v-web", self.web, "br0"), ("v-db", self.db, "br0"), ("v-app", self.app, "br1")):
            lines += [f"link add {name} type veth peer name eth0 netns {there}", f"link set {name} master {bridge} up"]
        for device, address in (("eth0", HOST), ("br0", "172.30.0.1"), ("br1", "172.31.0.1")):
            lines += [f"address add {address}/24 dev {device}", f"link set {device} up"]
        run("ip", "-n", host, "-batch", "-", stdin="\n".join([*lines, "link set lo up", ""]))
        for there, address, gateway in ((self.out, OUT, HOST), (self.web, WEB, "172.30.0.1"), (self.db, DB, "172.30.0.1"), (self.app, APP, "172.31.0.1")):
            run("ip", "-n", there, "-batch", "-", stdin=f"link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\n"
                f"route add default via {gateway}\n")
        self.sysctl("net.ipv4.ip_forward=1")

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        for name in self.all:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    # -- what a test does ------------------------------------------------------------------------------------------------
    def sh(self, command: str, ns: str | None = None) -> str:
        """A command line, as the administrator of the host (or of ``ns``) types it."""
        return run("nsenter", f"--net=/run/netns/{ns or self.host}", "sh", "-ec", command)

    def sysctl(self, *settings: str, ns: str | None = None) -> None:
        self.sh("sysctl -qw " + " ".join(settings), ns)

    def nft(self, ruleset: str, ns: str | None = None) -> None:
        run("nsenter", f"--net=/run/netns/{ns or self.host}", "nft", "-f", "-", stdin=ruleset)

    def open(self, ns: str, kind: socket.SocketKind) -> socket.socket:
        with entered(f"/run/netns/{ns}"):
            sock = socket.socket(socket.AF_INET, kind)
        self._sockets.append(sock)
        return sock

    def serve(self, ns: str, port: int, address: str = "0.0.0.0", kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
        """Echoes datagrams; accepts connections."""
        sock = self.open(ns, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(8)
        threading.Thread(target=_echo, args=(sock, kind), daemon=True).start()
        return sock

    def inode(self, ns: str) -> str:
        return f"net:[{os.stat(f'/run/netns/{ns}').st_ino}]"

    def pktdiag(self, *words: str, at: str | None = None) -> tuple[int, str]:
        done = subprocess.run(["nsenter", f"--net=/run/netns/{at or self.host}", sys.executable, "-m", "pktdiag", *words], cwd=ROOT, text=True,
                              capture_output=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "140"})
        assert done.returncode in (0, 1, 3), done.stderr
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout

    def why(self, *words: str, at: str | None = None) -> Json:
        """The answer of why-dropped; its text for people is read with a strict eye on the way."""
        answer: Json = json.loads(self.pktdiag("why-dropped", "--json", *words, at=at)[1])
        text = self.pktdiag("why-dropped", *words, at=at)[1]
        if os.environ.get("SHOW"):
            print("\n" + text)
        proofread(answer, text)
        return answer

    def send(self, ns: str, address: str, port: int, *, tcp: bool = False, sport: int = 0, size: int = 5, wait: float = 1.0) -> str:
        """What the application sees: "answered", "silence", or the errno's name."""
        sock = self.open(ns, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        with sock:
            sock.settimeout(wait)
            sock.bind(("0.0.0.0", sport))
            if not tcp:
                sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO: don't fragment
            try:
                sock.connect((address, port))
                if tcp:
                    return "answered"
                sock.send(b"x" * size)
                sock.recv(9000)
            except TimeoutError:
                return "silence"
            except OSError as error:
                import errno
                return errno.errorcode[error.errno or 0]
            return "answered"

    # -- the truth ---------------------------------------------------------------------------------------------------------
    def judge(self, ns: str, address: str, port: int, sport: int, answer: Json, expect: str, **options: Any) -> None:
        """Sends the packet: what the application sees, every sighting, the drop reason and the counters are as predicted."""
        proto = "tcp" if options.get("tcp") else "udp"
        with watching(*(f"/run/netns/{name}" for name in self.all)) as witness:
            assert self.send(ns, address, port, sport=sport, **options) == expect
            reasons = witness.reasons()
            moved = witness.moved()

            def mine(src: str, dst: str, kind: str, body: bytes) -> bool:
                return kind == proto and body[:2] == sport.to_bytes(2, "big") and (proto == "udp" or body[13] == 2)
            seen = list(dict.fromkeys(witness.sightings(mine)))
        request = answer["request"]
        assert seen == [Seen(item["netns"], item["device"], item["direction"], item["src"], item["dst"], item["sport"], item["dport"], item["proto"])
                        for item in request["sightings"]]
        leg = request if request["drop"] is not None or answer["reply"] is None else answer["reply"]
        if leg["drop"] is not None and leg["sightings"]:  # what routing refuses a socket was never a packet
            assert leg["drop"]["reason"] in reasons, (leg["drop"]["reason"], reasons)
            for name in leg["drop"]["counters"]:
                assert moved[leg["drop"]["netns"]].get(name), (name, moved)

    def mend(self, fix: Json) -> None:
        """Runs the printed commands as they are printed."""
        assert fix["verified"] is True, fix
        assert fix["commands"], fix
        for command in fix["commands"]:
            self.sh(command)


def sport() -> int:
    """A source port nobody used in this process."""
    return next(_ports)


def _echo(sock: socket.socket, kind: socket.SocketKind) -> None:
    try:
        while True:
            if not select.select([sock], [], [], 0.5)[0]:
                if sock.fileno() < 0:
                    return
                continue
            if kind == socket.SOCK_STREAM:
                sock.accept()[0].close()
            else:
                data, peer = sock.recvfrom(9000)
                with suppress(OSError):  # no way back: the test's own business
                    sock.sendto(data, peer)
    except (OSError, ValueError):
        return


def proofread(answer: Json, text: str) -> None:
    """English that a tired reader can trust."""
    sentences = [answer["summary"], *(fix["why"] for fix in answer.get("fixes", ()))]
    for sentence in sentences:
        assert sentence and sentence[0] == sentence[0].upper(), sentence
    assert answer["summary"].endswith("."), answer["summary"]
    for sign in ("..", ".;", ".,", ": :", " .", "None", "GATEWAY"):
        assert sign not in answer["summary"], answer["summary"]
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("$"))
    assert not re.search(r"[a-z)]\.\.(?!\.)|\.;|, \.|\bNone\b| {2,}\.", body), body
    assert len(set(sentences)) == len(sentences), sentences
