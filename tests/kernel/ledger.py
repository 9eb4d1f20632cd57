"""Sums over many runs: which kinds of rules real packets matched and passed over, kept in one JSON file.

    scripts/judge --every --coverage FILE                  adds this run's tallies to FILE, prints the sums
    scripts/judge --every --coverage FILE --cases 0        prints them only
    scripts/judge --every --coverage FILE --vm …           Debian's 6.1 counts into the same file

``{"runs": [RUN, …], "kinds": {KERNEL: {TAG: [matched, did not, and of both those in doubt]}}, "refused": {KERNEL: {TAG: why}}}``
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from . import every
from .coverage import Tally, merge
from .unreached import UNREACHED

MARK = "JUDGE-COVERAGE:"
"""Before the tallies of a run on the second kernel, on its console: its files are lost with it."""


def record(summary: Any, **about: Any) -> dict[str, Any]:
    """What one run adds. ``about``: how to have the same run again."""
    run = {"kernel": os.uname().release, **about, "cases": summary.cases, "hosts": summary.hosts, "wrong": len(summary.wrong),
           "not reproduced": summary.fleeting, "depends": round(100 * summary.depends_share, 2)}
    return {"run": run, "kinds": summary.coverage, "refused": summary.refused_kinds}


def add(path: str, added: dict[str, Any] | None) -> dict[str, Any]:
    """Adds a run to the file, which need not exist yet; the whole of it. Two judges may do so at once. Without a path: the run alone."""
    if not path:
        return _with(added, "")
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        kept = _with(added, file.read())
        if added is not None:
            file.seek(0)
            file.truncate()
            json.dump(kept, file, indent=0, sort_keys=True)
            file.write("\n")
    return kept


def _with(added: dict[str, Any] | None, text: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(text) if text.strip() else {"runs": [], "kinds": {}, "refused": {}}
    if added is not None:
        kernel = added["run"]["kernel"]
        kept["runs"].append(added["run"])
        merge(kept["kinds"].setdefault(kernel, {}), added["kinds"])
        kept["refused"].setdefault(kernel, {}).update(added["refused"])
    return kept


def union(kept: dict[str, Any]) -> Tally:
    """Of all kernels."""
    total: Tally = {}
    for tally in kept["kinds"].values():
        merge(total, tally)
    return total


def groups(total: Tally, drawn: set[str]) -> dict[str, list[str]]:
    """The kinds that lack something, each under the first thing it lacks; then the rest. ``drawn``: all there are."""
    found: dict[str, list[str]] = {
        "never looked at by a packet, or never loaded": [], "never matched": [], "never passed over": [],
        "matched only where the walk was in doubt": [], "passed over only where the walk was in doubt": [], "both ways": []}
    names = list(found)
    for tag in sorted(drawn | set(total)):
        hits, misses, unsure_hits, unsure_misses = total.get(tag, [0, 0, 0, 0])
        lacks = [not hits and not misses, not hits, not misses, hits == unsure_hits, misses == unsure_misses, True]
        found[names[lacks.index(True)]].append(tag)
    return found


def report(kept: dict[str, Any]) -> str:
    """The sums as text, what is missing first."""
    total, drawn = union(kept), every.kinds_of_rules(unknowable=True)
    refused = {tag: f"{kernel}: {why}" for kernel, tags in sorted(kept["refused"].items(), reverse=True) for tag, why in tags.items()}
    found = groups(total, drawn)
    whole = found.pop("both ways")
    cases, wrong, fleeting = (sum(run[key] for run in kept["runs"]) for key in ("cases", "wrong", "not reproduced"))
    left = [tag for tags in found.values() for tag in tags]
    lines = [f"{len(drawn | set(total))} kinds of rules: {len(whole)} both ways, {len(left)} not, of those {len(UNREACHED.keys() & left)} for a "
             f"known reason ({len(kept['runs'])} runs, {cases} cases, {wrong} wrong, {fleeting} not reproduced)"]
    for kernel, tally in sorted(kept["kinds"].items()):
        lines.append(f"  on {kernel} alone: {len(groups(tally, drawn)['both ways'])} both ways")
    for title, tags in found.items():
        if tags:
            lines.append(f"\n{len(tags)} {title}:")
        for tag in tags:
            never_met = not any(total.get(tag, ()))
            why = [UNREACHED.get(tag, ""), f"refused: {refused[tag]}"[:160] if never_met and tag in refused else ""]
            lines.append(f"  {numbers(tag, total)}   {'; '.join(filter(None, why))}".rstrip())
    lines.append(f"\n{len(whole)} both ways:")
    lines += [f"  {numbers(tag, total)}" for tag in whole]
    return "\n".join(lines)


def numbers(tag: str, total: Tally) -> str:
    if tag not in total:
        return f"{tag:32}"
    hits, misses, unsure_hits, unsure_misses = total[tag]
    return f"{tag:32} matched {hits:6} ({unsure_hits:5} in doubt)  did not {misses:6} ({unsure_misses:5} in doubt)"
