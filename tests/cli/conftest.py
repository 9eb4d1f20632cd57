"""A small host in namespaces of its own, without any link to the real one::

    out 198.51.100.2 eth0 --- eth0 198.51.100.1 host  br0 172.30.0.1 -- v-web --- eth0 172.30.0.2 web (udp/8000, tcp/80)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SERVER = """
import socket, sys, time
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("0.0.0.0", 8000))
t = socket.socket(); t.bind(("0.0.0.0", 80)); t.listen()
print("ready", flush=True)
time.sleep(600)
"""


def pktdiag(*words: str, netns: str | None = None, stdin: str | None = None, prefix: tuple[str, ...] = (),
            **environment: str) -> subprocess.CompletedProcess[str]:
    """A real pktdiag process, in a namespace of ``ip netns`` if one is named."""
    enter = ("nsenter", f"--net=/run/netns/{netns}") if netns else ()
    return subprocess.run([*enter, *prefix, sys.executable, "-m", "pktdiag", *words], cwd=ROOT, capture_output=True, text=True, timeout=120,
                          input=stdin, env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment})


class Lab:
    """Names of the namespaces and a way to ask in the middle one."""

    def __init__(self) -> None:
        prefix = f"pdcli{os.getpid()}"
        self.out, self.host, self.web = f"{prefix}o", f"{prefix}h", f"{prefix}w"
        self.server: subprocess.Popen[str] | None = None

    def build(self) -> None:
        out, host, web = self.out, self.host, self.web
        lines = [
            f"link add eth0 netns {host} type veth peer name eth0 netns {out}", f"link add v-web netns {host} type veth peer name eth0 netns {web}",
            f"-n {host} link add br0 type bridge", f"-n {host} link set v-web master br0",
        ]
        run("ip", "-batch", "-", stdin="".join(f"netns add {name}\n" for name in (out, host, web)))
        for line in lines:
            run("ip", *line.split())
        for name, device, address in ((out, "eth0", "198.51.100.2/24"), (host, "eth0", "198.51.100.1/24"), (host, "br0", "172.30.0.1/24"),
                                      (web, "eth0", "172.30.0.2/24")):
            run("ip", "-n", name, "address", "add", address, "dev", device)
        for name, device in ((out, "lo"), (out, "eth0"), (host, "lo"), (host, "eth0"), (host, "v-web"), (host, "br0"), (web, "lo"), (web, "eth0")):
            run("ip", "-n", name, "link", "set", device, "up")
        run("ip", "-n", out, "route", "add", "default", "via", "198.51.100.1")
        run("ip", "-n", web, "route", "add", "default", "via", "172.30.0.1")
        run("ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.server = subprocess.Popen(["nsenter", f"--net=/run/netns/{web}", sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
        assert self.server.stdout is not None and self.server.stdout.readline() == "ready\n"

    def remove(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.communicate()
        for name in (self.out, self.host, self.web):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def ask(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """pktdiag on the lab's host."""
        return pktdiag(*words, netns=self.host, **more)

    def json(self, *words: str, **more: Any) -> Any:
        done = self.ask(*words, "--json", **more)
        assert done.stderr == "", done.stderr
        return json.loads(done.stdout)


def run(*words: str, stdin: str | None = None) -> None:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    made = Lab()
    try:
        made.build()
        yield made
    finally:
        made.remove()
