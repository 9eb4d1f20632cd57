"""The judge: as many workers as wanted, each on a CPU of its own, random hosts until enough cases are judged."""

from __future__ import annotations

import copy
import fcntl
import glob
import json
import os
import re
import select
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from . import faults, fingerprints, stacked
from .case import Result, run_host
from .coverage import Tally, merge
from .generate import generate
from .host import Host, shell_script
from .lab import in_private_world
from .shrink import shrink
from .tracer import Tracer

HERE = os.path.dirname(__file__)
REGRESSIONS = os.path.join(HERE, "regressions")
FOUND_OUT = ("coverage", "refused", "refused kinds")
"""What a run writes beside a host's description."""


class Bench:
    """What a worker holds: its tracer, its home namespace, its process id as the tracer prints it."""

    def __init__(self, cpu: int, pid: int) -> None:
        os.sched_setaffinity(0, {cpu})
        self.pid = pid
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.tracer = Tracer(cpu, pid)
        # Device names are alike in all labs, and the tracer sees the whole CPU: one lab at a time on each.
        self._lock = os.open(os.path.join(tempfile.gettempdir(), f"pktdiag-judge-cpu{cpu}.lock"), os.O_RDWR | os.O_CREAT, 0o600)

    def run(self, host: Host, only: int | None = None, verbose: bool = False, patient: bool = False) -> list[Result]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            return run_host(host, self.home, self.tracer, self.pid, only, verbose, patient)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def judged(self, host: Host) -> tuple[list[Result], list[Result]]:
        """(results, disagreements that did not come back): a mismatch counts when it reproduces on the host built anew."""
        results = self.run(host)
        wrong = {result.packet for result in results if result.mismatches}
        if not wrong:
            return results, []
        again = {result.packet: result for result in self.run(copy.deepcopy(host), patient=True)}
        kept, fleeting = [], []
        for result in results:
            second = again.get(result.packet)
            if result.mismatches and (second is None or not second.mismatches):
                fleeting.append(result)
                result = second or result._replace(mismatches=())
            kept.append(result)
        return kept, fleeting

    def close(self) -> None:
        self.tracer.close()


def cpus(jobs: int) -> list[int]:
    """A CPU for each job; softirq work must not be shared, so there are never more jobs than CPUs."""
    available = sorted(os.sched_getaffinity(0))
    return available[:max(1, min(jobs, len(available)))]


def stream(work: Callable[[Bench, Callable[[dict[str, Any]], None]], None], jobs: list[int]) -> Iterator[dict[str, Any]]:
    """Runs ``work(bench, send)`` in one worker per CPU and yields what they send; ends when all have ended."""
    pids: list[int] = []
    readers: dict[int, bytes] = {}
    poll = select.poll()
    for cpu in jobs:
        reader, writer = os.pipe()

        def worker(pid: int, cpu: int = cpu, writer: int = writer) -> int:
            bench = Bench(cpu, pid)
            try:
                work(bench, lambda message: _write_all(writer, json.dumps(message).encode() + b"\n"))
            finally:
                bench.close()
            return 0

        pids.append(in_private_world(worker))
        os.close(writer)
        readers[reader] = b""
        poll.register(reader, select.POLLIN | select.POLLHUP)
    try:
        while readers:
            for fd, _ in poll.poll(1000):
                data = os.read(fd, 1 << 16)
                if not data:
                    poll.unregister(fd)
                    os.close(fd)
                    del readers[fd]
                    continue
                *lines, rest = (readers[fd] + data).split(b"\n")
                readers[fd] = rest
                for line in lines:
                    yield json.loads(line)
    finally:
        for pid in pids:
            try:
                if readers:
                    os.kill(pid, 15)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        fingerprints.remove()


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data):]


def message_of(result: Result, unknowable: bool = False) -> dict[str, Any]:
    return {"host": result.host, "packet": result.packet, "verdict": result.verdict, "end": result.end, "seconds": result.seconds,
            "conditions": list(result.conditions), "mismatches": [list(m) for m in result.mismatches], "unknowable": unknowable}


class Summary:
    """What a run comes to."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.cases = self.hosts = 0
        self.verdicts: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.conditions: Counter[str] = Counter()
        self.fleeting = 0
        self.unknowable: Counter[str] = Counter()
        """Verdicts on hosts whose rules nobody can predict: not counted where the share of "depends" is bounded."""
        self.coverage: Tally = {}
        self.refused: Counter[str] = Counter()
        self.refused_kinds: dict[str, str] = {}
        """By tag: what one of its rules was refused with, for the last time."""
        self.walk_seconds = 0.0
        self.wrong: list[dict[str, Any]] = []
        self.started = time.monotonic()

    def add(self, message: dict[str, Any]) -> None:
        if "fleeting" in message:
            self.fleeting += message["fleeting"]
            merge(self.coverage, message.get("coverage", {}))
            self.refused.update(message.get("refused", ()))
            self.refused_kinds.update(message.get("refused kinds", ()))
            self.hosts += 1
            return
        self.cases += 1
        self.verdicts[message["verdict"]] += 1
        self.ends[message["end"]] += 1
        self.walk_seconds += message["seconds"]
        if message["unknowable"]:
            self.unknowable[message["verdict"]] += 1
        for condition in message["conditions"][:1] if not message["unknowable"] else ():
            self.conditions[condition] += 1
        for kind in {kind for kind, _ in message["mismatches"]}:
            self.kinds[kind] += 1
        if message["mismatches"]:
            self.wrong.append(message)

    @property
    def depends_share(self) -> float:
        """Of the packets on hosts without rules that nobody can predict."""
        cases = self.cases - self.unknowable.total()
        return (self.verdicts["depends"] - self.unknowable["depends"]) / cases if cases else 0.0

    def print(self) -> None:
        from rich.console import Console
        from rich.table import Table
        seconds = time.monotonic() - self.started
        console = Console()
        table = Table(title=f"seed {self.seed}: {self.cases} cases on {self.hosts} hosts in {seconds:.0f} s "
                      f"({self.cases / max(seconds, 0.001):.1f} cases/s, walk {1000 * self.walk_seconds / max(1, self.cases):.1f} ms)")
        table.add_column("predicted")
        table.add_column("cases", justify="right")
        table.add_column("really ended")
        table.add_column("cases", justify="right")
        table.add_column("wrong in")
        table.add_column("cases", justify="right")
        rows = max(len(self.verdicts), len(self.ends), len(self.kinds))
        columns = [list(counter.most_common()) for counter in (self.verdicts, self.ends, self.kinds)]
        for row in range(min(rows, 24)):
            cells = []
            for column in columns:
                cells += [column[row][0], str(column[row][1])] if row < len(column) else ["", ""]
            table.add_row(*cells)
        console.print(table)
        console.print(f"depends: {100 * self.depends_share:.2f} %   wrong: {len(self.wrong)}   not reproduced: {self.fleeting}   "
                      f"(unknowable: {self.unknowable['depends']} depend of {self.unknowable.total()})", markup=False)
        for condition, count in self.conditions.most_common(12):
            console.print(f"  {count:6} × {condition}"[:200], markup=False, highlight=False)


def run(cases: int, seed: int, jobs: int, *, first: int = 0, step: int = 1, progress: bool = True, stop_at: int = 0,
        fault: str = "", everything: bool = False, program: str = "",
        without: frozenset[str] = frozenset(), holding: frozenset[str] = frozenset()) -> Summary:
    """Judges at least ``cases`` random packets of every ``step``-th host. ``stop_at``: ends after that many wrong ones. ``fault``: with
    one put in. ``program``: with the rules of one (``programs.install``). ``holding``: only hosts with a rule of one of these kinds."""
    used = cpus(jobs)
    kinds = stacked.makeable()
    hosts = cases * (200 if holding else 2)  # an upper bound; the parent stops reading when it has enough

    def work(bench: Bench, send: Callable[[dict[str, Any]], None]) -> None:
        position = used.index(next(iter(os.sched_getaffinity(0))))
        for index in range(first + position * step, first + hosts * step, len(used) * step):
            host = generate(seed, index, without, everything, kinds, program)
            if program and not host["program"]:
                continue
            if holding and not any(holding.intersection(item.get("tags", ())) for item in host["items"]):
                continue
            try:
                with faults.applied(fault):
                    results, fleeting = bench.judged(host)
                if fault and any(result.mismatches for result in results):
                    # Only what is right without the fault proves that the fault was noticed.
                    wrong_anyway = {result.packet for result in bench.run(copy.deepcopy(host)) if result.mismatches}
                    results = [result._replace(mismatches=()) if result.packet in wrong_anyway else result for result in results]
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                send({"broken": f"{seed}:{index}", "error": f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"})
                continue
            for result in results:
                # whether the other fragments come along nobody knows
                send(message_of(result, bool(host.get("unknowable") or host["packets"][result.packet].get("frag"))))
            send({"fleeting": len(fleeting), "coverage": host.get("coverage", {}), "refused": host.get("refused", []), "refused kinds": host.get("refused kinds", []),
                  "texts": [[r.host, r.packet, r.mismatches[0].kind, r.mismatches[0].text] for r in fleeting]})

    summary = Summary(seed)
    bar: Any = None
    if progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        bar = Progress(TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TextColumn("wrong {task.fields[wrong]}"),
                       TextColumn("depends {task.fields[depends]}"), TimeRemainingColumn(), refresh_per_second=2)
        bar.start()
        task = bar.add_task("", total=cases, wrong=0, depends="")
    source = stream(work, used)
    try:
        for message in source:
            if "broken" in message:
                print(f"host {message['broken']} could not be judged: {message['error']}", file=sys.stderr)
                continue
            summary.add(message)
            if os.environ.get("JUDGE_FLEETING"):
                for text in message.get("texts", ()):
                    print("fleeting:", *text, file=sys.stderr)
            if bar is not None:
                bar.update(task, completed=summary.cases, wrong=len(summary.wrong), depends=f"{100 * summary.depends_share:.2f} %")
            if summary.cases >= cases or (stop_at and len(summary.wrong) >= stop_at):
                break
    finally:
        source.close()  # type: ignore[attr-defined]
        if bar is not None:
            bar.stop()
    return summary


def with_bench(work: Callable[[Bench], Any]) -> Any:
    """Runs ``work(bench)`` in one worker and returns its JSON-able result; an exception there becomes RuntimeError."""
    def wrapped(bench: Bench, send: Callable[[dict[str, Any]], None]) -> None:
        try:
            send({"result": work(bench)})
        except Exception:
            send({"error": traceback.format_exc()})

    answer: dict[str, Any] = {"error": "the worker died"}
    for message in stream(wrapped, cpus(1)):
        answer = message
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


def regressions() -> list[str]:
    """The files of shrunk hosts, in order."""
    return sorted(glob.glob(os.path.join(REGRESSIONS, "*.json")))


def judge_regressions(bench: Bench) -> dict[str, list[list[str]]]:
    """What is wrong about the last packet of each regression file, by the file's name; files that need device types this kernel
    cannot make ("needs", see ``stacked``) are left out."""
    kinds = stacked.makeable()
    found: dict[str, list[list[str]]] = {}
    for path in regressions():
        with open(path) as file:
            host = json.load(file)
        if not kinds >= set(host.get("needs", ())):
            continue
        results, _ = bench.judged(host)
        last = [result for result in results if result.packet == len(host["packets"]) - 1]
        found[os.path.basename(path)] = [[result.verdict, *mismatch] for result in last for mismatch in result.mismatches] \
            if last else [["", "not judged", "the packet could not be sent"]]
    return found


def signature(result: Result) -> str:
    """What makes two disagreements the same one: the kind, the predicted verdict, and the words without the numbers."""
    mismatch = result.mismatches[0]
    text = re.sub(r"Drop(Seen)?\(.*|Receiver\(.*", "", mismatch.text)
    return f"{result.verdict} {mismatch.kind} " + re.sub(r"[a-h]?[a-z]*[0-9]+|[a-h]/", "", text)[:70 if mismatch.kind != "sightings" else 12]


def shrunk(bench: Bench, host: Host, packet: int, wanted: str) -> Host:
    """The host cut down to what is needed for a mismatch with the signature ``wanted``."""
    def check(candidate: Host) -> bool:
        try:
            results = bench.run(candidate, only=len(candidate["packets"]) - 1, patient=True)
        except Exception:
            return False
        return any(result.mismatches and signature(result) == wanted for result in results)

    return shrink(host, packet, check)


def keep(host: Host, name: str, note: str, directory: str = REGRESSIONS) -> str:
    """Stores a description as a regression case."""
    path = os.path.join(directory, f"{name}.json")
    with open(path, "w") as file:
        json.dump({"note": note, **{key: value for key, value in host.items() if key not in FOUND_OUT}}, file, indent=1)
        file.write("\n")
    return path


__all__ = ["Bench", "Summary", "keep", "run", "shell_script", "shrunk", "with_bench"]
