"""The command line of scripts/judge."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys

from . import every, judge, ledger, programs, stacked
from .generate import generate
from .host import shell_script


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/judge", description="Random hosts, real packets: is every prediction true?")
    parser.add_argument("--cases", type=int, default=2000, help="packets to judge")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="index of the first host")
    parser.add_argument("--every", action="store_true", help="only the hosts that hold every expression and extension (one in four)")
    parser.add_argument("--stacked", action="store_true", help="only hosts with VLANs, bonds, macvlans, ... where the kernel has them (one in three)")
    parser.add_argument("--coverage", nargs="?", const="", metavar="FILE", help="say what kinds of rules matched, did not match, and were "
                        "in doubt; with FILE: of all runs that were ever added to it, with this one (--cases 0: without)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", metavar="SEED:INDEX[:PACKET]", help="one host, in full detail")
    parser.add_argument("--replay", metavar="FILE", help="a regression file, in full detail")
    parser.add_argument("--regressions", action="store_true", help="replay all regression files first")
    parser.add_argument("--shrink", action="store_true", help="reduce every kind of mismatch found to its smallest host")
    parser.add_argument("--out", default="", metavar="DIR", help="where shrunk hosts go (default: tests/kernel/regressions)")
    parser.add_argument("--self-test", action="store_true", help="put in deliberate faults; each must be found within 2,000 cases")
    parser.add_argument("--vm", action="store_true", help="run on Debian's 6.1 kernel in an emulator")
    parser.add_argument("--stop-at", type=int, default=0, help="end after this many wrong cases")
    parser.add_argument("--without", default="", metavar="KINDS", help="leave out nft, xt, ipv6 (comma-separated)")
    parser.add_argument("--holding", default="", metavar="KINDS",
                        help="with --every: only hosts with rules of these kinds, as --coverage names them (comma-separated)")
    parser.add_argument("--program", default="", metavar="NAME",
                        help="only hosts with the rules that this program makes, or any: " + ", ".join(programs.names()))
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    if os.geteuid():
        print("scripts/judge builds network namespaces: run it as root", file=sys.stderr)
        return 2
    if args.vm:
        return _in_vm([a for a in (argv if argv is not None else sys.argv[1:]) if a != "--vm"], args.coverage)
    without = frozenset(args.without.split(",")) - {""}
    if args.only or args.replay:
        return _one(args.only, args.replay, args.shrink, args.out, without, args.every, args.program)
    if args.self_test:
        return _self_test(args.seed, args.jobs)
    if args.coverage and not args.cases:
        print(ledger.report(ledger.add(args.coverage, None)))
        return 0
    print(f"seed {args.seed}, hosts from {args.first}: the same again with scripts/judge --cases {args.cases} --seed {args.seed}"
          + (f" --first {args.first}" if args.first else "") + " --every" * args.every + " --stacked" * args.stacked + (f" --holding '{args.holding}'" if args.holding else "")
          + (f" --program '{args.program}'" if args.program else ""))
    if args.program not in ("", "any", *programs.names()):
        print(f"no such program: {args.program}; one of {', '.join(programs.names())}, or any", file=sys.stderr)
        return 2
    if args.stacked and not stacked.wanted(stacked.EVERY - 1, stacked.makeable()):
        print("this kernel makes none of them: try --vm", file=sys.stderr)
        return 2
    broken = 0
    if args.regressions:
        for name, mismatches in judge.with_bench(judge.judge_regressions).items():
            broken += bool(mismatches)
            for mismatch in mismatches:
                print(f"{name}: {' '.join(mismatch)[:900]}")
        print(f"regressions: {broken} wrong")
    step = every.EVERY if args.every else stacked.EVERY if args.stacked else 1
    summary = judge.run(args.cases, args.seed, args.jobs, first=args.first + step - 1, step=step,
                        everything=args.every, program=args.program, progress=not args.quiet and sys.stdout.isatty(),
                        stop_at=args.stop_at, without=without, holding=frozenset(args.holding.split(",")) - {""})
    summary.print()
    if args.coverage is not None:
        for line, count in summary.refused.most_common() if not args.coverage else ():
            print(f"refused {count}: {line}")
        added = ledger.record(summary, seed=args.seed, first=args.first, holding=args.holding, every=args.every)
        if args.coverage == ledger.MARK:
            print(ledger.MARK + json.dumps(added))
        else:
            print(ledger.report(ledger.add(args.coverage, added)))
    for message in summary.wrong[:40]:
        kind, text = message["mismatches"][0]
        print(f"\n{message['host']}:{message['packet']} {message['verdict']} {kind}: {text[-200:] if kind == 'crash' else text[:900]}")
    if args.shrink:
        seen: set[str] = set()
        for message in summary.wrong:
            signature = re.sub(r"\d+", "#", message["verdict"] + message["mismatches"][0][0] + message["mismatches"][0][1][:60])
            if signature in seen or len(seen) > 30:
                continue
            seen.add(signature)
            _one(f"{message['host']}:{message['packet']}", None, True, args.out, without, args.every, args.program)
    return 1 if summary.wrong or broken else 0


def _in_vm(arguments: list[str], path: str | None) -> int:
    """On the second kernel. ``path``: of the file that its tallies go to, which lies over here."""
    from . import vm
    if path is None:
        return vm.run(arguments)
    at = next(n for n, argument in enumerate(arguments) if argument.split("=")[0] == "--coverage")
    arguments[at:at + 1 + (arguments[at + 1:at + 2] == [path] and bool(path))] = [f"--coverage={ledger.MARK}"]
    status, output = vm.run_and_read(arguments, ledger.MARK)
    if (found := re.search(rf"{ledger.MARK}(.*)", output)) is not None:
        print(ledger.report(ledger.add(path, json.loads(found[1]))))
    return status


def _one(only: str | None, replay: str | None, shrinking: bool, out: str, without: frozenset[str], everything: bool,
         program: str) -> int:
    packet: int | None = None
    if replay:
        with open(replay) as file:
            host = json.load(file)
        name = os.path.splitext(os.path.basename(replay))[0]
        packet = len(host["packets"]) - 1
    else:
        seed, index, *rest = (int(part) for part in str(only).split(":"))
        host = generate(seed, index, without, everything, stacked.makeable(), program)
        packet = rest[0] if rest else None
        name = f"{seed}-{index}"

    def work(bench: judge.Bench) -> dict[str, object]:
        results = bench.run(host, packet, verbose=not shrinking)
        wrong = [r for r in results if r.mismatches]
        if shrinking and wrong:
            first = wrong[0]
            kind = first.mismatches[0].kind
            small = judge.shrunk(bench, host, first.packet, judge.signature(first))
            again = bench.run(json.loads(json.dumps(small)), len(small["packets"]) - 1, verbose=True)
            text = "; ".join(m.text for r in again for m in r.mismatches)
            return {"small": small, "kind": kind, "text": text, "wrong": [judge.message_of(r) for r in wrong]}
        return {"wrong": [judge.message_of(r) for r in wrong]}

    result = judge.with_bench(work)
    for message in result["wrong"]:
        for kind, text in message["mismatches"]:
            print(f"{message['host']}:{message['packet']} predicted {message['verdict']}, {kind}: {text}")
    if "small" in result:
        print(shell_script(result["small"]))
        print(f"# {result['kind']}: {result['text']}")
        path = judge.keep(result["small"], f"{name}-{result['kind']}", result["text"], out or judge.REGRESSIONS)
        print(f"# kept as {path}")
    return 1 if result["wrong"] else 0


def _self_test(seed: int, jobs: int) -> int:
    from . import faults
    missed = []
    for name in faults.FAULTS:
        summary = judge.run(2000, seed, jobs, progress=False, stop_at=1, fault=name)
        found = bool(summary.wrong)
        print(f"{'found ' if found else 'MISSED'} {name} " + (f"after {summary.cases} cases: {summary.wrong[0]['mismatches'][0][0]}"
                                                          if found else ""), flush=True)
        if not found:
            missed.append(name)
    return 1 if missed else 0
