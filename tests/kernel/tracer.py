"""The kernel's own account of drops: ``skb:kfree_skb`` and the ``net:*`` events, from a private tracefs instance."""

from __future__ import annotations

import bisect
import contextlib
import os
import re
import time
from typing import NamedTuple

from .lab import mount

MOUNTPOINT = "/run/netns/.tracing"
PREFIX = "pktdiag-judge-"
EVENTS = ("skb/kfree_skb", "net/net_dev_queue", "net/netif_receive_skb", "neigh/neigh_timer_handler")


class Event(NamedTuple):
    name: str
    pid: int
    skb: str
    device: str
    reason: str
    location: str
    protocol: int
    """kfree_skb: the ethertype the skb was marked with; 0 elsewhere."""


_LINE = re.compile(r"^\s*.{16}-(\d+)\s+\[\d+\] \S+\s+([\d.]+): (\w+): (.*)$")
_SKB = re.compile(r"skbaddr=(?:0x)?([0-9a-f]+)")
_DEV = re.compile(r"dev[= ](\S+)")
_REASON = re.compile(r"reason: (\w+)")
_PROTOCOL = re.compile(r"protocol=(\d+)")
_LOCATION = re.compile(r"location=([\w.]+)")


class Tracer:
    """A tracefs instance that records only the CPU the worker is pinned to: all softirq work of a send happens there."""

    def __init__(self, cpu: int, pid: int) -> None:
        os.makedirs(MOUNTPOINT, exist_ok=True)
        mount("tracefs", MOUNTPOINT, "tracefs")
        _sweep(f"{MOUNTPOINT}/instances")
        self.instance = f"{MOUNTPOINT}/instances/{PREFIX}{pid}"
        os.mkdir(self.instance)
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", "512")
        self._write("tracing_cpumask", f"{1 << cpu:x}")
        for event in EVENTS:
            if os.path.isdir(f"{self.instance}/events/{event}"):
                self._write(f"events/{event}/enable", "1")
        self._symbols: list[tuple[int, str]] = []
        self._pipe = os.open(f"{self.instance}/per_cpu/cpu{cpu}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        with open(f"{self.instance}/events/skb/kfree_skb/format") as file:
            self.reasons = frozenset(re.findall(r'\{ \d+, "(\w+)" \}', file.read()))

    def _write(self, name: str, value: str) -> None:
        with open(f"{self.instance}/{name}", "w") as file:
            file.write(value)

    def drain(self) -> list[Event]:
        """Everything since the last call, in the order in which the CPU did it."""
        chunks = []
        while True:
            try:
                data = os.read(self._pipe, 65536)
            except BlockingIOError:
                break
            if not data:
                break
            chunks.append(data)
        events = []
        for line in b"".join(chunks).decode("utf-8", "replace").splitlines():
            match = _LINE.match(line)
            if not match:
                continue
            pid, _, name, rest = match.groups()
            skb, device = _SKB.search(rest), _DEV.search(rest)
            reason, location = _REASON.search(rest), _LOCATION.search(rest)
            events.append(Event(name, int(pid), skb[1] if skb else "", device[1] if device else "",
                                reason[1] if reason else "", self._function(location[1]) if location else "",
                                int(protocol[1]) if (protocol := _PROTOCOL.search(rest)) else 0))
        return events

    def _function(self, location: str) -> str:
        """The function a drop was made in. 6.1 prints its address, which is only good for this where the kernel was booted with
        no_hash_pointers: without the tracer's hash-ptr option its events lose their reason (kernel/trace/trace.c: trace_event_format)."""
        if len(location) != 16 or not location.startswith("ffff"):
            return location
        if not self._symbols:
            with open("/proc/kallsyms") as file:
                self._symbols = sorted((int(line[:16], 16), line.split()[2]) for line in file if line[17] in "tT")
        position = bisect.bisect(self._symbols, (int(location, 16), "~"))
        return self._symbols[position - 1][1] if position else location

    def close(self) -> None:
        os.close(self._pipe)
        for event in EVENTS:
            if os.path.isdir(f"{self.instance}/events/{event}"):
                self._write(f"events/{event}/enable", "0")
        os.rmdir(self.instance)


def _sweep(instances: str) -> None:
    """Removes what workers that were killed left behind; an instance in use is busy and stays."""
    for name in os.listdir(instances):
        path = f"{instances}/{name}"
        with contextlib.suppress(OSError):  # another worker may end, or sweep, at the same time
            if name.startswith(PREFIX) and os.stat(path).st_mtime < time.time() - 60:
                os.rmdir(path)
