"""Runs commands in turns, so that a busy moment of the machine hits all of them, and compares their quickest runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PKTDIAG = (sys.executable, "-I", "-S", str(ROOT / "pktdiag" / "launch.py"))
"""As ``scripts/pktdiag`` runs it, once its environment is made."""


class Cost(NamedTuple):
    """The quickest of several runs."""

    seconds: float
    peak: int
    """Bytes resident at the most (ru_maxrss), of any run."""


def cost_of(runs: int, *jobs: tuple[str, list[tuple[str, ...]]]) -> list[Cost]:
    """Each job is (namespace of ``ip netns`` or "", commands one after another); the cost of each."""
    best = [Cost(1e9, 0)] * len(jobs)
    for _ in range(runs):
        for at, (netns, commands) in enumerate(jobs):
            spent, peak = 0.0, 0
            for words in commands:
                seconds, resident = _run(netns, words)
                spent += seconds
                peak = max(peak, resident)
            best[at] = Cost(min(best[at].seconds, spent), max(best[at].peak, peak))
    return best


def _run(netns: str, words: tuple[str, ...]) -> tuple[float, int]:
    """Seconds and peak memory of one process, born in the namespace: entering it is not measured."""
    enter = os.open(f"/run/netns/{netns}", os.O_RDONLY) if netns else -1
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if netns:
            _setns(enter)
        started = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        spent = time.perf_counter() - started
    finally:
        if netns:
            _setns(home)
            os.close(enter)
        os.close(home)
    process.returncode = os.waitstatus_to_exitcode(status)
    if words[: len(PKTDIAG)] == PKTDIAG and process.returncode not in (0, 1, 3):
        raise RuntimeError(f"{' '.join(words)}: exit status {process.returncode}")
    return spent, usage.ru_maxrss * 1024


def _setns(fd: int) -> None:
    from pktdiag.collect.libc import setns

    setns(fd)
