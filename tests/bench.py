"""Ratios: what pktdiag costs against what one would run without it. Not a test: machines differ and neighbours are noisy.

Every command of a comparison takes its turn in each round, so that a busy moment hits them alike; medians are compared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PKTDIAG = [sys.executable, "-m", "pktdiag"]


class Comparison(NamedTuple):
    """``ours`` against the sum of ``theirs``, run one after another."""

    name: str
    ours: Sequence[str]
    theirs: Sequence[Sequence[str]]
    bound: float


def spend(words: Sequence[str]) -> float:
    """Seconds of one run."""
    started = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return time.perf_counter() - started


def measure(comparison: Comparison, rounds: int) -> tuple[float, float]:
    """(median of ours, median of theirs together), seconds."""
    ours, theirs = [], []
    spend(comparison.ours)  # compiles what is not compiled yet
    for _ in range(rounds):
        ours.append(spend(comparison.ours))
        theirs.append(sum(spend(words) for words in comparison.theirs))
    return statistics.median(ours), statistics.median(theirs)


def comparisons(enter: Sequence[str], target: str, address: str) -> list[Comparison]:
    tools = [["nft", "list", "ruleset"], ["iptables-save"], ["ip", "route", "get", address]]
    theirs = [[*enter, *words] for words in tools]
    return [
        Comparison("--help / import typer", [*PKTDIAG, "--help"], [[sys.executable, "-c", "import typer"]], 2.5),
        Comparison("trace / nft + iptables-save + ip route get", [*enter, *PKTDIAG, "trace", target], theirs, 3.0),
        Comparison("why-dropped / the same", [*enter, *PKTDIAG, "why-dropped", target], theirs, float("inf")),
        Comparison("trace / starting Python", [*enter, *PKTDIAG, "trace", target], [[*enter, sys.executable, "-c", "pass"]], float("inf")),
    ]


@contextmanager
def docker_lab() -> Iterator[tuple[list[str], str, str]]:
    """A real Docker engine with a container, in namespaces of its own: (how to enter, whom to ask for, its address)."""
    from tests.stories.engine import machine
    with machine("pdbench", "nft") as host:
        host.docker("run", "-d", "--name", "web", "-p", "8080:80", "bb", "sleep", "1000")
        yield ["nsenter", f"--net=/run/netns/{host.name}"], "web:80", host.address("web")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--netns", help="use the Docker host in this namespace instead of building one")
    parser.add_argument("--target", default="c1:80", help="with --netns: container and port to trace")
    options = parser.parse_args()
    if options.netns:
        enter = ["nsenter", f"--net=/run/netns/{options.netns}"]
        return report(comparisons(enter, options.target, "172.17.0.2"), options.rounds)
    with docker_lab() as (enter, target, address):
        return report(comparisons(enter, target, address), options.rounds)


def report(wanted: Sequence[Comparison], rounds: int) -> int:
    """Prints the table; 1 when a bound is exceeded."""
    worst = 0
    print(f"{'comparison':<44}{'ours':>9}{'theirs':>9}{'ratio':>8}{'bound':>8}")
    for comparison in wanted:
        ours, theirs = measure(comparison, rounds)
        over = ours / theirs > comparison.bound
        worst |= over
        bound = f"{comparison.bound:g}" if comparison.bound != float("inf") else "-"
        print(f"{comparison.name:<44}{ours * 1000:>7.1f}ms{theirs * 1000:>7.1f}ms{ours / theirs:>8.2f}{bound:>8}{'  over' if over else ''}", flush=True)
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
