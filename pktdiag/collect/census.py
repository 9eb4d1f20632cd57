"""Which processes live in which network namespace, and what is mounted: looked at once per view.

A look costs 5 µs; a trace asks who lives in a namespace several times, and a host of a thousand containers has thousands.
"""

from __future__ import annotations

import os

from pktdiag.collect import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.collect.mounts import Listed


NEAR = 8
"""So many processes are looked at around a place before the search by age is given up."""


class Census:
    """Goes through /proc as far as somebody wants to know, and remembers."""

    def __init__(self) -> None:
        self._left: list[int] | None = None
        """Not looked at yet, the next one last; None before the start."""
        self._pids: list[int] | None = None
        self._found: dict[int, list[int]] = {}
        self._mounts: bytes | None = None
        self._mounted: Listed | None = None
        self._shelves: list[list[tuple[int, str]]] | None = None

    def mounts(self) -> bytes:
        """Our mount table: two milliseconds of the kernel's time for a thousand mounts."""
        if self._mounts is None:
            self._mounts = procfs.read(f"{procfs.PROC}/self/mountinfo") or b""
        return self._mounts

    def mounted(self) -> Listed:
        if self._mounted is None:
            from pktdiag.collect.mounts import Listed

            self._mounted = Listed(self.mounts())
        return self._mounted

    def shelves(self) -> list[list[tuple[int, str]]]:
        """The usual places, see :func:`mounts.shelf`."""
        if self._shelves is None:
            from pktdiag.collect.mounts import DOCKERS, NAMED, shelf

            self._shelves = [shelf(NAMED), shelf(DOCKERS)]
        return self._shelves

    def somebody(self, inode: int) -> int | None:
        """A process in the namespace, by a few looks: namespaces are numbered as they are made (ns_alloc_inum: the lowest free
        number) and so are processes, so that both lists agree where neither has begun anew. None: they do not, or nobody is there."""
        if inode in self._found:
            return self._found[inode][0]
        pids = self._everybody()
        own = _netns(os.getpid())
        low, high = 0, len(pids)
        while low < high:
            middle = (low + high) // 2
            there = None
            for place in range(middle, min(middle + NEAR, high)):  # the shims and monitors between them live in ours
                there = _netns(pids[place])
                if there is not None and there != own:
                    break
            else:
                if middle + NEAR < high:
                    return None
                high = middle
                continue
            if there == inode:
                return pids[place]
            if there is not None and there < inode:
                low = place + 1
            else:
                high = middle
        return None

    def first(self, inode: int) -> int | None:
        """The lowest pid in the namespace, kernel threads included; None when nobody is there that can be seen."""
        while inode not in self._found and self._step():
            pass
        return self._found[inode][0] if inode in self._found else None

    def pids(self, inode: int) -> tuple[int, ...]:
        """Everybody in the namespace, ascending, kernel threads (all of them in the first one) left out."""
        while self._step(1000):
            pass
        return tuple(pid for pid in self._found.get(inode, ()) if not procfs.kernel_thread(pid))

    def _step(self, count: int = 1) -> bool:
        """Looks at so many more; False at the end."""
        if self._left is None:
            self._left = self._everybody()[::-1]
        if not self._left:
            return False
        found, batch = self._found, self._left[-count:]
        del self._left[-count:]
        for pid in reversed(batch):
            inode = _netns(pid)
            if inode is not None:
                found.setdefault(inode, []).append(pid)
        return True

    def _everybody(self) -> list[int]:
        if self._pids is None:
            self._pids = sorted(procfs.pids())
        return self._pids

    def forget(self) -> None:
        self._left = self._pids = self._mounts = self._mounted = self._shelves = None
        self._found.clear()


def _netns(pid: int) -> int | None:
    """As procfs.netns_of(), without three calls for each of thousands."""
    try:
        target = os.readlink(f"{procfs.PROC}/{pid}/ns/net")
    except OSError:
        return None
    return int(target[5:-1]) if target.startswith("net:[") else None
