"""The ways of a datagram's fragments, told once: the first one's whole, of the others what happened to them alone."""

from __future__ import annotations

from pktdiag.model.trace import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OTHERS = "Told from here on: the way of the first; of the others, where it differs."


def told_once(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Without what has been said of another fragment at the same place. A later fragment's step names it."""
    said = set()
    for step in steps:
        cut = isinstance(step.detail, dict) and "fragments" in step.detail
        if step.piece is not None:
            dropped = isinstance(step.detail, dict) and "drop" in step.detail
            # Who was asked for the first is known when the next one comes.
            key = (step.netns, step.stage, step.device, step.text if step.stage != "neighbour" or dropped else "", step.rule)
            if key in said:
                continue
            said.add(key)
            if step.piece[0] > 1:
                step = step._replace(text=f"Fragment {step.piece[0]} of {step.piece[1]}: {step.text}")
        yield step._replace(text=f"{step.text} {OTHERS}") if cut else step
