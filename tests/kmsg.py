"""The kernel log as a judge: what LOG rules in namespaces of a test wrote there."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ALL_NETNS = Path("/proc/sys/net/netfilter/nf_log_all_netns")


@contextmanager
def logging_everywhere() -> Iterator[None]:
    """The kernel logs for all namespaces meanwhile; the switch is put back as it was."""
    before = ALL_NETNS.read_text()
    ALL_NETNS.write_text("1")
    try:
        yield
    finally:
        ALL_NETNS.write_text(before)


class Tail:
    """What is logged from now on (the log's own clock is not the one processes can ask)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """Those with our prefix so far, without trailing blanks."""
        while True:
            try:
                text = os.read(self._fd, 8192).decode(errors="replace").partition(";")[2]
            except BlockingIOError:
                return self._lines
            except BrokenPipeError:  # overwritten meanwhile: go on with the next
                continue
            if text.startswith(self._prefix):
                self._lines.append(text.split("\n")[0].rstrip())

    def wait(self, count: int, wanted: Callable[[str], bool] = bool) -> list[str]:
        """Those of :meth:`lines` that are wanted, once there are so many, or after three seconds."""
        deadline = time.monotonic() + 3
        while len(seen := [line for line in self.lines() if wanted(line)]) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return seen

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def same(predicted: str, line: str) -> bool:
    """Whether they agree; ``?`` stands for a value nobody can know beforehand."""
    pattern = re.escape(predicted).replace(r"GATEWAY=\?", r"GATEWAY=[\d.]+").replace(r"\?", r"\w+")
    return re.fullmatch(pattern, line) is not None


def compare(seen: list[str], predicted: list[str]) -> None:
    """AssertionError, with both: they differ."""
    assert len(seen) == len(predicted), (seen, predicted)
    wrong = [f"\nkernel    {line}\npredicted {expected}" for line, expected in zip(seen, predicted) if not same(expected, line)]
    assert not wrong, "".join(wrong)
