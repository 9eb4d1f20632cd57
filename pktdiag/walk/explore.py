"""Replaying a walk once per combination of unknowable conditions.

A walk is deterministic once every :meth:`Walk.decide` has an answer. The first replay answers True everywhere; every later
one takes a known prefix of answers, turns the last one round and goes on with True. The first to come are those with one answer
turned, then those with two: where there are too many to try them all, each condition has had its turn. Outcomes that are alike
are merged, so a condition that changes nothing does not make the verdict ``depends``.
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_REPLAYS = 128
"""Seven independent conditions. Beyond that the answer says that it is incomplete."""


class Replay(NamedTuple):
    """The answers one replay was given, in the order they were asked."""

    answers: tuple[tuple[str, bool], ...]


class Chooser:
    """Answers the questions of one replay."""

    def __init__(self, prefix: tuple[bool, ...]) -> None:
        self.prefix = prefix
        self.taken: list[tuple[str, bool]] = []

    def __call__(self, condition: str) -> bool:
        position = len(self.taken)
        answer = self.prefix[position] if position < len(self.prefix) else True
        self.taken.append((condition, answer))
        return answer


def explore(run: Callable[[Chooser], None]) -> tuple[list[Replay], bool]:
    """Calls ``run`` once per combination. Returns what each replay answered, and whether all combinations were tried."""
    pending: list[tuple[bool, ...]] = [()]
    done: list[Replay] = []
    for prefix in pending:  # grows meanwhile
        if len(done) >= MAX_REPLAYS:
            return done, False
        chooser = Chooser(prefix)
        run(chooser)
        done.append(Replay(tuple(chooser.taken)))
        answers = tuple(answer for _, answer in chooser.taken)
        for position in range(len(prefix), len(answers)):
            pending.append((*answers[:position], False))
    return done, True
