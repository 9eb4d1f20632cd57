"""A namespace of its own, with the tools' rules loaded into it, read back by pktdiag."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

NETNS = Path("/run/netns")


class Lab:
    """One namespace without any way out."""

    def __init__(self) -> None:
        self.name = f"xt{uuid.uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}\n{stdin or ''}")
        return done.stdout if check else done.stdout + done.stderr

    def fails(self, *command: str, stdin: str | None = None) -> str | None:
        """The tool's complaint, or None when it worked."""
        done = subprocess.run(["ip", "netns", "exec", self.name, *command], input=stdin, capture_output=True, text=True, check=False)
        return (done.stderr or "failed").strip() if done.returncode else None

    @property
    def inode(self) -> int:
        return os.stat(NETNS / self.name).st_ino

    def close(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False)


@pytest.fixture
def lab() -> Iterator[Lab]:
    if os.geteuid():
        pytest.skip("needs root: network namespaces")
    made = Lab()
    try:
        yield made
    finally:
        made.close()
