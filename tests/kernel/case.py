"""Runs the packets of one host, one after the other, and judges each."""

from __future__ import annotations

import copy
import time
import traceback
from collections import Counter
from typing import Any, NamedTuple

from .ask import question
from .build import Built
from .compare import Judgement, Mismatch
from .coverage import Tags
from .host import Host
from .observe import NotSentError, Observer, Truth
from .send import Sender
from .tracer import Tracer

ERROR_BURST, QUIET = 4, 1.05
"""net.ipv4.route.error_burst allows five at once; net.ipv4.route.error_cost one a second afterwards. Both are the initial namespace's."""


class Result(NamedTuple):
    """One packet judged."""

    host: str
    packet: int
    verdict: str
    mismatches: tuple[Mismatch, ...]
    conditions: tuple[str, ...]
    """For ``depends``: the conditions named."""
    seconds: float
    """What the walk took."""
    end: str
    """How it really ended, for the summary."""


def run_host(host: Host, home: int, tracer: Tracer, pid: int, only: int | None = None, verbose: bool = False,
             patient: bool = False) -> list[Result]:
    """Builds ``host`` (a copy; refused rules are struck from ``host`` itself), sends every packet, judges each.

    ``only``: judge just this packet (the earlier ones are sent all the same, for the state they leave behind).
    ``patient``: waits for neighbours' silence after every packet, also where none was foreseen.
    """
    from pktdiag.collect.live import LiveHost
    from pktdiag.walk.api import trace

    results: list[Result] = []
    rests = _Rests()
    with Built(host, home, lenient=True) as built:
        if built.refused:
            host["refused"] = [text for text, _ in built.refused]
            host["refused kinds"] = [[tag, text] for text, tags in built.refused for tag in tags]
        if verbose and built.failed:
            print("could not be made:", *built.failed, sep="\n   ")
        observer = Observer(built, tracer, pid)
        tags = Tags(host, observer.counters) if host.get("every") else None
        host["coverage"] = {}  # of this run: a stored host may still have another's
        try:
            for number, spec in enumerate(host["packets"]):
                if spec["ns"] not in built.namespaces:
                    continue
                try:
                    sender = Sender(built, spec, number + 1)
                except (OSError, ValueError):
                    continue
                try:
                    if sender.error.startswith("open:"):
                        continue  # the socket could not even be set up: there is no packet to ask about
                    started = time.perf_counter()
                    predicted: Any = None
                    crash = ""
                    if only is None or only == number:
                        try:
                            ask = question(built, sender)
                        except (OSError, ValueError):
                            continue
                        try:
                            with LiveHost() as live:  # let go of the namespaces: thousands come after them
                                predicted = trace(live, ask)
                        except Exception:
                            crash = " | ".join(line.strip() for line in traceback.format_exc().splitlines()[-12:])
                    seconds = time.perf_counter() - started
                    rests.before(built, predicted)
                    try:
                        truth = observer.run(sender, patient or _waits(predicted))
                    except NotSentError:
                        continue
                    rests.after(truth)
                    if only is not None and only != number:
                        continue
                    if crash:
                        results.append(Result(host["seed"], number, "crash", (Mismatch("crash", crash),), (), seconds, _end(truth)))
                        continue
                    judgement = Judgement(built, sender, predicted, truth, tags.texts if tags else {})
                    conditions = tuple(c for o in predicted.request.outcomes for c in o.conditions)
                    results.append(Result(host["seed"], number, predicted.request.verdict, tuple(judgement.mismatches),
                                          conditions, seconds, _end(truth)))
                    if tags is not None:
                        tags.count(host["coverage"], truth.rules, judgement.doubtful())
                    if verbose:
                        _show(predicted, truth)
                finally:
                    sender.close()
        finally:
            observer.close()
    return results


class _Rests:
    """When routing may speak again: ip_error() (net/ipv4/route.c) allows a sender five errors at once and then one a second, and a
    redirect takes them all away, since both count in peer->rate_tokens. Nobody can read that, and packets follow each other here as
    they do nowhere else: an error that is foretold is waited for."""

    def __init__(self) -> None:
        self._errors: Counter[str] = Counter()
        self._until: dict[str, float] = {}

    def before(self, built: Built, predicted: Any) -> None:
        silent = {built.namespaces[name].id: until for name, until in self._until.items()}
        rest = max((silent.get(drop.netns, 0) for drop in _drops(predicted) if drop.stage == "routing"), default=0) - time.monotonic()
        if rest > 0:
            time.sleep(rest)

    def after(self, truth: Truth) -> None:
        turned = _turned_back(truth)
        for name, moved in truth.counters.items():
            said = moved.get("IcmpOutDestUnreachs", 0)
            redirects = name in turned or bool(moved.get("IcmpOutRedirects"))
            self._errors[name] += ERROR_BURST if redirects else said
            if redirects or (said and self._errors[name] >= ERROR_BURST):
                self._until[name] = time.monotonic() + QUIET


def _turned_back(truth: Truth) -> frozenset[str]:
    """Namespaces that sent the packet out of the device it came in through: ip_rt_send_redirect() notes the time with its sender's
    other limits, whether a redirect goes out or not (icmp_send() has none for a later fragment)."""
    came = {(seen.netns, seen.device) for seen in truth.sightings if seen.direction == "in"}
    return frozenset(seen.netns for seen in truth.sightings if seen.direction == "out" and (seen.netns, seen.device) in came)


def _drops(predicted: Any) -> list[Any]:
    """All that were foretold, of the packet and of its answer, in every outcome."""
    legs = [leg for leg in (predicted and predicted.request, predicted and predicted.reply) if leg]
    drops = [leg.drop for leg in legs] + [outcome.fate.drop for leg in legs for outcome in leg.outcomes]
    return [drop for drop in drops if drop is not None]


def _waits(predicted: Any) -> bool:
    """Whether a neighbour's silence was predicted, for the packet or for its answer."""
    return any(drop.stage == "neighbour" for drop in _drops(predicted))


def _end(truth: Truth) -> str:
    if truth.receivers:
        return "received"
    reasons = [d.reason for d in truth.drops if d.kind in ("request", "?")]
    if reasons:
        return reasons[0]
    return f"errno {truth.error}" if truth.error else "answered" if truth.answer else "gone"


def _show(predicted: Any, truth: Truth) -> None:
    for leg_name, leg in (("request", predicted.request), ("reply", predicted.reply)):
        if leg is None:
            continue
        print(f"== {leg_name}: {leg.verdict} {leg.drop.reason if leg.drop else ''} {leg.receiver or ''}")
        for step in leg.steps:
            print(f"   {step.netns} {step.stage:14} {step.device:6} {step.text}")
        print(f"   counters {leg.counters}")
        for outcome in leg.outcomes:
            print(f"   outcome {outcome.conditions} {outcome.fate.verdict} {outcome.fate.drop}")
    print("== truth: error", truth.error, "received by", [r.item for r in truth.receivers])
    for drop in truth.drops:
        print("  ", drop)
    for sight in truth.sightings + truth.answer + truth.others + truth.arp:
        print(f"   {sight.kind:8} {sight.netns}/{sight.device}:{sight.direction} {sight.src}.{sight.sport} > {sight.dst}.{sight.dport} "
              f"{sight.what} ttl {sight.ttl} len {sight.length} {sight.smac}>{sight.dmac}")
    print("   counters", {n: c for n, c in truth.counters.items() if c})
    for key, moved in truth.rules.items():
        if moved:
            print(f"   rule {key} +{moved}")


def pristine(host: Host) -> Host:
    return copy.deepcopy(host)
