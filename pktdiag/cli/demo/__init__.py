"""``demo``: story 1, the unpublished container port, with real commands and a real packet, in a lab without any link to
the host's network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pktdiag
from pktdiag.cli.demo import isolate
from pktdiag.cli.demo.lab import GREETING, HOST, OUTSIDE, PORT, WEB, Lab
from pktdiag.render.look import Look, for_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PACKET = (OUTSIDE, f"{HOST}:{PORT}/udp")


def run(values: dict[str, Any]) -> int:
    """0 when the story went as told."""
    status = isolate.run(lambda: _Story(for_stream(sys.stdout), values["pause"]).tell())
    print("The lab is gone." if status == 0 else "The lab is removed.", file=sys.stderr)
    return status


class _Story:
    def __init__(self, look: Look, pause: bool) -> None:
        self.look, self.pause = look, pause
        # The wrapper starts us isolated from PYTHONPATH; the processes we start have to find this very pktdiag.
        root = os.path.dirname(os.path.dirname(pktdiag.__file__))
        self.environment = {**os.environ, "COLUMNS": str(look.width), "PYTHONPATH": os.pathsep.join(
            filter(None, (root, os.environ.get("PYTHONPATH"))))}
        # A user namespace may not ask for BPF programs and ebtables; in the lab we know that there are none.
        with open("/proc/self/uid_map") as file:
            mapped = file.read().split() != ["0", "0", "4294967295"]
        self.packet = [*PACKET, "--assume-empty"] if mapped else list(PACKET)

    def say(self, text: str) -> None:
        print("\n".join(self.look.wrap(text, 0)))

    def act(self, title: str) -> None:
        if self.pause:
            print("\n[Enter] ", end="", flush=True)
            sys.stdin.readline()
        print("\n" + self.look.paint(f"== {title} " + "=" * max(0, self.look.width - len(title) - 4), "bold"))

    def pktdiag(self, *words: str) -> int:
        """Runs a real pktdiag process in the lab's host, output as it comes."""
        print("\n" + self.look.paint("$ pktdiag " + " ".join(words), "cyan"), flush=True)
        return subprocess.run([sys.executable, "-m", "pktdiag", *words], env=self.environment, check=False).returncode

    def tell(self) -> int:
        self.act("The lab")
        self.say("A host with a bridge, and behind it 'web', which imitates a container: it listens on udp/8000, and nobody "
                 "published that port. A machine 'outside' wants to reach it at the host's address. All of it lives in namespaces of "
                 "its own; nothing leads to this machine's network.")
        lab = Lab()
        self.pktdiag("topology")
        self.act("A packet from outside to the host's address, port 8000")
        before = lab.send()
        self.say(f"A real datagram was sent: {_came_back(before)}.")
        status = self.pktdiag("why-dropped", *self.packet)
        if before != b"" or status != 1:
            return self.unexpected(f"a refusal and exit status 1, not {_came_back(before)} and {status}")
        self.act("The fix")
        self.apply(self.fix())
        self.act("The same packet again")
        status = self.pktdiag("trace", *self.packet)
        after = lab.send()
        print()
        self.say(f"And a real datagram was sent: {_came_back(after)}.")
        if after != GREETING or status != 0:
            return self.unexpected(f"an answer and exit status 0, not {_came_back(after)} and {status}")
        self.say("Prediction and packet agree, before and after.")
        return 0

    def unexpected(self, text: str) -> int:
        print(f"pktdiag: demo-failed: expected {text}", file=sys.stderr)
        return 2

    def fix(self) -> list[str]:
        """Commands of the first fix that was walked, as ``why-dropped --json`` gives them."""
        import json
        done = subprocess.run([sys.executable, "-m", "pktdiag", "why-dropped", *self.packet, "--json"], capture_output=True, text=True,
                              env=self.environment, check=False)
        fixes = json.loads(done.stdout)["fixes"] if done.stdout else []
        return next((list(fix["commands"]) for fix in fixes if fix["verified"]), [])

    def apply(self, commands: list[str]) -> None:
        """In the lab, with the tools of this machine where it has them, else the same rule through netlink."""
        import shlex

        from pktdiag.cli.demo import rtnl
        from pktdiag.render.safe import text as safe
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        parsed = [shlex.split(line) for line in commands]
        if parsed and all(words and shutil.which(words[0], path=path) for words in parsed):
            self.say("The proposed commands, run in the lab:")
            print()
            for line, words in zip(commands, parsed):
                print(self.look.paint("$ " + safe(line), "cyan"), flush=True)
                done = subprocess.run(words, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
                if done.returncode:
                    self.say(f"It failed ({safe(done.stderr.strip())}); the demo loads the rule through netlink instead.")
                    break
            else:
                return
        else:
            tools = ", ".join(sorted({words[0] for words in parsed if words})) or "nft and iptables"
            self.say(f"This machine has no {tools}; the demo loads the rule into the lab through netlink instead:")
        print(self.look.paint(f"\n  ip daddr {HOST} udp dport {PORT} counter dnat to {WEB}:{PORT}", "cyan"))
        rtnl.add_dnat(17, HOST, PORT, WEB, PORT)


def _came_back(answer: bytes | None) -> str:
    if answer is None:
        return "no answer came"
    return f"the answer was {answer.decode()!r}" if answer else "it was refused (ICMP port unreachable)"
