"""Container, interface, process and rule comment all carry terminal escapes and rich markup: the terminal sees harmless text."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .engine import HOST_ADDRESS, ROOT, Machine, machine, run

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
              pytest.mark.skipif(not shutil.which("dockerd"), reason="needs dockerd (docker.io)")]

DEVICE = "\x1b[31mr\x07[b]"
COMM = "\x1b]0;o\x07[red]\x9b"
COMMENT = "[bold red]x[/]\x1b[2J\x1b]8;;http://evil\x07‮"
# What pktdiag itself may write to a terminal: SGR colour sequences and nothing else.
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    with machine("evil", "nft") as made:
        made.run_echo("victim", "udp", 8000, comm=COMM)
        run("ip", "link", "add", DEVICE, "netns", made.host, "type", "veth", "peer", "name", "p0", "netns", f"/proc/{made.pid('victim')}/ns/net")
        made.inside(made.host, "ip", "link", "set", DEVICE, "up")
        made.tool("iptables", "-I", "INPUT", "-p", "udp", "--dport", "9999", "-m", "comment", "--comment", COMMENT, "-j", "DROP")
        made.tool("iptables", "-I", "DOCKER-USER", "-p", "udp", "-m", "comment", "--comment", COMMENT, "-j", "ACCEPT")
        yield made


def on_terminal(host: Machine, *words: str) -> str:
    """What a real pktdiag writes to a terminal of its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(["nsenter", f"--net=/run/netns/{host.host}", sys.executable, "-m", "pktdiag", *words], stdin=follower,
                               stdout=follower, stderr=follower, cwd=ROOT, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"})
    os.close(follower)
    chunks = []
    while True:
        ready, _, _ = select.select([leader], [], [], 60)
        try:
            data = os.read(leader, 65536) if ready else b""
        except OSError:
            data = b""
        if not data:
            break
        chunks.append(data)
    os.close(leader)
    assert process.wait(60) in (0, 1, 3), b"".join(chunks)
    return b"".join(chunks).decode(errors="surrogateescape")


@pytest.mark.parametrize("words", [
    ("topology",), ("topology", "--format", "dot"), ("topology", "--format", "mermaid"), ("hooks",), ("counters",),
    ("why-dropped", "victim", f"{HOST_ADDRESS}:9999/udp"), ("trace", "host", "victim:8000/udp"), ("trace", "victim", f"{HOST_ADDRESS}:9999/udp"),
], ids=" ".join)
def test_nothing_of_it_reaches_the_terminal(host: Machine, words: tuple[str, ...]) -> None:
    shown = on_terminal(host, *words)
    plain = SGR.sub("", shown)
    wrong = [character for character in plain if (ord(character) < 32 and character not in "\r\n\t") or 127 <= ord(character) < 160
             or character in "‪‫‬‭‮⁦⁧⁨⁩"]
    assert not wrong, (wrong, plain)
    assert len(plain) > 100


def test_markup_is_shown_as_it_is_written(host: Machine) -> None:
    """The comment stands in the answer, letter for letter, with its escapes made visible."""
    shown = SGR.sub("", on_terminal(host, "why-dropped", "victim", f"{HOST_ADDRESS}:9999/udp"))
    joined = re.sub(r"\s+", "", shown)
    assert "[boldred]x[/]" in joined
    assert "\\x1b" in joined
