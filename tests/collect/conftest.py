"""Namespaces of the tests' own, without any link to the one the tests run in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from pktdiag.collect.live import LiveHost
from pktdiag.collect.live_namespace import LiveNamespace


class Lab:
    """Named namespaces and the real tools in them."""

    def __init__(self) -> None:
        self.prefix = f"a1c{os.getpid()}"
        self.made: list[str] = []
        self.host = LiveHost()

    def add(self, name: str) -> LiveNamespace:
        full = f"{self.prefix}{name}"
        subprocess.run(["ip", "netns", "add", full], check=True)
        self.made.append(full)
        self.run(name, "ip link set lo up")
        return self.view(name)

    def inode(self, name: str) -> int:
        return os.stat(f"/run/netns/{self.prefix}{name}").st_ino

    def view(self, name: str) -> LiveNamespace:
        return self.host.namespace(self.inode(name))

    def fresh(self, name: str) -> LiveNamespace:
        self.host.refresh()
        return self.view(name)

    def try_run(self, name: str, command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["nsenter", f"--net=/run/netns/{self.prefix}{name}", *command.split()], input=stdin,
                              capture_output=True, text=True, check=False)

    def run(self, name: str, command: str, stdin: str | None = None) -> str:
        done = self.try_run(name, command, stdin)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def json(self, name: str, command: str) -> Any:
        return json.loads(self.run(name, command) or "[]")

    def veth(self, one: str, one_name: str, other: str, other_name: str) -> None:
        self.run(one, f"ip link add {one_name} type veth peer name {other_name} netns {self.prefix}{other}")

    def device(self, name: str, device: str) -> None:
        """An Ethernet device with carrier whose other end is nobody's. (Not every kernel has ``dummy``.)"""
        sink = f"{self.prefix}sink"
        if sink not in self.made:
            subprocess.run(["ip", "netns", "add", sink], check=True)
            self.made.append(sink)
        self.run(name, f"ip link add {device} type veth peer name {name}-{device} netns {sink}")
        subprocess.run(["ip", "-n", sink, "link", "set", f"{name}-{device}", "up"], check=True)

    def remove(self) -> None:
        self.host.close()
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture
def lab() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root (network namespaces)")
    lab = Lab()
    try:
        yield lab
    finally:
        lab.remove()
