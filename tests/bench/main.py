"""The table of ratios. Each row: what is compared, the bound the project has set itself, what was measured."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.bench import crowd as crowds
from tests.bench import labs
from tests.bench.measure import PKTDIAG, Place, cost_of

MIB = 1 << 20


class Row(NamedTuple):
    name: str
    value: float
    bound: float
    unit: str
    detail: str

    @property
    def held(self) -> bool:
        return self.value <= self.bound


def trace(*words: str) -> list[tuple[str, ...]]:
    return [(*PKTDIAG, "trace", *words)]


def ratio(name: str, bound: float, runs: int, ours: tuple[Place | str, list[tuple[str, ...]]], theirs: tuple[Place | str, list[tuple[str, ...]]],
          memory: int = 0) -> Iterator[Row]:
    """``ours`` over ``theirs``; one run beforehand, so that caches are as on the second day."""
    jobs = [(place if isinstance(place, Place) else Place(place), commands) for place, commands in (ours, theirs)]
    cost_of(2, jobs[0])
    mine, other = cost_of(runs, *jobs)
    yield Row(name, mine.seconds / other.seconds, bound, "x", f"{mine.seconds * 1e3:.1f} ms over {other.seconds * 1e3:.1f} ms")
    if memory:
        yield Row(f"{name}: peak memory", mine.peak / MIB, memory, " MiB", "")


def help_() -> Iterator[Row]:
    yield from ratio("--help / import typer", 2.5, 15, ("", [(*PKTDIAG, "--help")]), ("", [(sys.executable, "-c", "import typer")]))


def docker(containers: int) -> Iterator[Row]:
    with labs.docker(containers) as made:
        tools = [("nft", "list", "ruleset"), ("iptables-nft-save",), ("ip", "route", "get", "198.51.100.2")]
        yield from ratio(f"trace, {containers} containers / nft + iptables-save + ip route get", 3, 20,
                         (made.host, trace(f"{made.address('c1')}", f"{made.address('c2')}:80")), (made.host, tools))
        yield from ratio(f"trace to a published port, {containers} containers / the same tools", 3, 20,
                         (made.host, trace("198.51.100.2", "198.51.100.1:8002")), (made.host, tools))


def kube(backend: str) -> Iterator[Row]:
    with labs.namespace(f"kube-{backend}") as netns:
        labs.feed(netns, f"iptables-{backend}-restore", text=labs.kube_proxy(2500))
        yield from ratio(f"trace, 20,000 rules ({backend}) / iptables-save", 1, 5, (netns, trace("192.0.2.9", "10.96.4.210:80", "--in", "eth0")),
                         (netns, [(f"iptables-{backend}-save",)]), 80)


def nft_set() -> Iterator[Row]:
    head = "table ip t {{ set s {{ type ipv4_addr; {} }}; chain c {{ type filter hook output priority 0; ip daddr @s drop; }}; }}"
    members = ", ".join(f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(100_000))
    with labs.namespace("set0") as empty, labs.namespace("set1") as full:
        labs.feed(empty, "nft", "-f", "-", text=head.format(""))
        labs.feed(full, "nft", "-f", "-", text=head.format(f"elements = {{ {members} }}"))
        yield from ratio("trace, nft set of 100,000 / an empty one", 1.2, 12, (full, trace("192.0.2.9:80")), (empty, trace("192.0.2.9:80")))


def nft_intervals() -> Iterator[Row]:
    head = "table ip t {{ set s {{ type ipv4_addr; flags interval; {} }}; chain c {{ type filter hook output priority 0; ip daddr @s drop; }}; }}"
    members = ", ".join(f"11.{n >> 13}.{n >> 5 & 255}.{(n & 31) * 8}/30" for n in range(100_000))
    with labs.namespace("ival0") as empty, labs.namespace("ival1") as full:
        labs.feed(empty, "nft", "-f", "-", text=head.format(""))
        labs.feed(full, "nft", "-f", "-", text=head.format(f"elements = {{ {members} }}"))
        yield from ratio("trace, nft set of 100,000 intervals / an empty one", 1.2, 12, (full, trace("192.0.2.9:80")), (empty, trace("192.0.2.9:80")))


def ipset() -> Iterator[Row]:
    members = "".join(f"add s 11.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(100_000))
    with labs.namespace("ips0") as empty, labs.namespace("ips1") as full:
        for netns, more in ((empty, ""), (full, members)):
            labs.feed(netns, "ipset", "restore", text=f"create s hash:ip maxelem 200000\n{more}")
            labs.feed(netns, "iptables-nft-restore", text="*filter\n-A OUTPUT -m set --match-set s dst -j DROP\nCOMMIT\n")
        yield from ratio("trace, ipset of 100,000 / an empty one", 1.2, 12, (full, trace("192.0.2.9:80")), (empty, trace("192.0.2.9:80")))


def crowd() -> Iterator[Row]:
    few, many = 10, 1000
    with crowds.crowd(few) as (small, few_pids), crowds.crowd(many) as (large, many_pids):
        for name, bound, words in (
            ("from container to container", 1.5,
             lambda count, pids: trace(f"pid:{pids[crowds.sender(count)]}", f"{crowds.address_of(crowds.receiver(count))}:80")),
            ("to a published port", 1.5, lambda count, pids: trace("192.0.2.9", f"192.0.2.1:{10000 + crowds.receiver(count)}", "--in", "eth0")),
            ("from an address", 1.5, lambda count, pids: trace(crowds.address_of(crowds.sender(count)), "192.0.2.9:80")),
            # The kernel, too, hands such a request to each of them: this one grows, but by no more than a look at each costs.
            ("an unknown neighbour asked for everywhere", 5, lambda count, pids: trace(f"pid:{pids[crowds.sender(count)]}", "172.17.200.1:80")),
        ):
            yield from ratio(f"1,000 containers / 10, {name}", bound, 10, (large, words(many, many_pids)), (small, words(few, few_pids)))


ALL: dict[str, Callable[[], Iterator[Row]]] = {
    "help": help_, "docker3": lambda: docker(3), "docker30": lambda: docker(30), "kube-nft": lambda: kube("nft"),
    "kube-legacy": lambda: kube("legacy"), "nft-set": nft_set, "nft-intervals": nft_intervals, "ipset": ipset, "crowd": crowd,
}


def main(names: list[str]) -> int:
    """Prints the rows of the named measurements (all of them by default); 1 when a bound is not held."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the labs go in `finally`
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"scripts/bench: no measurement {' '.join(unknown)}; there are: {' '.join(ALL)}", file=sys.stderr)
        return 2
    if os.geteuid():
        print("scripts/bench: needs root (namespaces of its own)", file=sys.stderr)
        return 2
    broken = 0
    for name in names or ALL:
        for row in ALL[name]():
            broken += not row.held
            print(f"{'ok  ' if row.held else 'OVER'}  {row.value:6.2f}{row.unit} (at most {row.bound:g}{row.unit})  {row.name}"
                  f"{'  ' + row.detail if row.detail else ''}", flush=True)
    return 1 if broken else 0
