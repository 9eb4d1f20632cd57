"""Namespaces of a test's own, named after it and removed whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest


def run(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, input=stdin, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


class Nets:
    """``nets.add("web")`` makes a namespace; ``nets["web"]`` is its full name, ``nets.inode("web")`` its number."""

    def __init__(self) -> None:
        self.prefix = f"pddsc{os.getpid()}"
        self.made: list[str] = []
        self.helpers: list[subprocess.Popen[bytes]] = []

    def __getitem__(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def add(self, *names: str) -> None:
        lines = [f"netns add {self[name]}" for name in names]
        run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")
        self.made += names

    def delete(self, name: str) -> None:
        self.made.remove(name)
        run("ip", "netns", "delete", self[name])

    def ip(self, name: str, *commands: str) -> None:
        """``ip`` commands inside; ``{other}`` stands for a namespace's full name."""
        lines = [command.format_map(_Names(self)) for command in commands]
        run("ip", "-n", self[name], "-batch", "-", stdin="\n".join(lines) + "\n")

    def inode(self, name: str) -> int:
        return os.stat(f"/run/netns/{self[name]}").st_ino

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """A process in the namespace, there when this returns (``""``: in none of ours)."""
        words = ["nsenter", f"--net=/run/netns/{self[name]}", *command] if name else list(command)
        helper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.helpers.append(helper)
        if name:
            wait(lambda: os.stat(f"/proc/{helper.pid}/ns/net").st_ino == self.inode(name))
        return helper

    def python(self, name: str, script: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A Python process that printed a line when it was ready."""
        helper = self.start(name, sys.executable, "-c", script, *arguments)
        assert helper.stdout is not None and helper.stdout.readline(), "the helper died"
        return helper

    def stop(self, helper: subprocess.Popen[bytes]) -> None:
        helper.kill()
        helper.wait()
        for pipe in (helper.stdin, helper.stdout):
            if pipe is not None:
                pipe.close()
        self.helpers.remove(helper)

    def close(self) -> None:
        for helper in list(self.helpers):
            self.stop(helper)
        for name in list(self.made):
            subprocess.run(["ip", "netns", "delete", self[name]], capture_output=True)


class _Names(dict[str, str]):
    def __init__(self, nets: Nets) -> None:
        super().__init__()
        self.nets = nets

    def __missing__(self, name: str) -> str:
        return self.nets[name]


def wait(ready: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def nets() -> Iterator[Nets]:
    if os.geteuid() != 0:
        pytest.skip("needs root to make network namespaces")
    made = Nets()
    try:
        yield made
    finally:
        made.close()
