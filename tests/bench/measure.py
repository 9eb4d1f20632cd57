"""Runs commands in turns, so that a busy moment of the machine hits all of them, and compares their quickest runs."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PKTDIAG = (sys.executable, "-I", "-S", str(ROOT / "pktdiag" / "launch.py"))
"""As ``scripts/pktdiag`` runs it, once its environment is made."""


_libc = ctypes.CDLL(None, use_errno=True)


class Place(NamedTuple):
    """Where a command runs."""

    netns: str
    """A name of ``ip netns``; "" for here."""
    keeper: int = 0
    """A process whose PID and mount namespaces they are; 0 for ours."""


class Cost(NamedTuple):
    """The quickest of several runs."""

    seconds: float
    peak: int
    """Bytes resident at the most (ru_maxrss), of any run."""


def cost_of(runs: int, *jobs: tuple[Place, list[tuple[str, ...]]]) -> list[Cost]:
    """Each job is (place, commands one after another); the cost of each."""
    best = [Cost(1e9, 0)] * len(jobs)
    for _ in range(runs):
        for at, (place, commands) in enumerate(jobs):
            spent, peak = 0.0, 0
            for words in commands:
                seconds, resident = _run(place, words)
                spent += seconds
                peak = max(peak, resident)
            best[at] = Cost(min(best[at].seconds, spent), max(best[at].peak, peak))
    return best


def _run(place: Place, words: tuple[str, ...]) -> tuple[float, int]:
    """Seconds and peak memory of one process, born in its place: going there is not measured."""
    # A process with threads may not leave its mount namespace, and thread-self is the one that is moved.
    kinds = (*(("mnt", "pid") if place.keeper else ()), "net")
    home = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in kinds]
    try:
        _enter(place)
        started = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        spent = time.perf_counter() - started
    finally:
        for fd in home:
            _setns(fd)
            os.close(fd)
        os.chdir(ROOT)
    process.returncode = os.waitstatus_to_exitcode(status)
    if words[: len(PKTDIAG)] == PKTDIAG and process.returncode not in (0, 1, 3):
        raise RuntimeError(f"{' '.join(words)}: exit status {process.returncode}")
    return spent, usage.ru_maxrss * 1024


def _enter(place: Place) -> None:
    if place.keeper:
        there = [os.open(f"/proc/{place.keeper}/ns/{kind}", os.O_RDONLY) for kind in ("mnt", "pid")]
        for fd in there:
            _setns(fd)
            os.close(fd)
    if place.netns:
        fd = os.open(f"/run/netns/{place.netns}", os.O_RDONLY)
        _setns(fd)
        os.close(fd)


def _setns(fd: int) -> None:
    """Of a PID namespace only children take notice."""
    if _libc.setns(fd, 0):
        raise OSError(ctypes.get_errno(), "setns")
