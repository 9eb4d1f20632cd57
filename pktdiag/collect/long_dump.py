"""A dump of which so much is read as somebody looks at.

A packet that matches the third of a thousand rules never sees the others, and listing a rule costs the kernel 4 µs.
"""

from __future__ import annotations

from pktdiag.collect.netlink import DONE, INTERRUPTED, Interrupted, Netlink, first_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pktdiag.model.view import Unreadable

    Base = Sequence[bytes]
else:
    Base = object

NFTA_RULE_HANDLE = 3


class LongDump(Base):
    """The rules of one chain. A change of the ruleset meanwhile (nl_dump_check_consistent) has the rest read anew, if those already
    handed out still stand in front of it: a handle is never given twice (nf_tables_api.c: nf_tables_alloc_handle)."""

    def __init__(self, netlink: Netlink, sequence: int, ready: list[bytes], again: Callable[[], Sequence[bytes]],
                 unreadable: Callable[[OSError], Unreadable]) -> None:
        """``netlink`` is in the middle of the dump and nobody else's."""
        self.ready = ready
        """What has been read so far; grows."""
        self._netlink: Netlink | None = netlink
        self._sequence = sequence
        self._again, self._unreadable = again, unreadable
        self._failure: Unreadable | None = None

    def more(self) -> bool:
        """Reads on; False at the end. Raises Unreadable."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        netlink = self._netlink
        if netlink is None:
            return False
        given = len(self.ready)
        try:
            state = netlink.part(self._sequence, self.ready)
            if state & INTERRUPTED:
                self._replace(given, self._again())
        except OSError as error:
            self._failure = self._unreadable(error)
            del self.ready[given:]
            self._close()
            raise self._failure from error
        if state:
            self._close()
        return True

    def _replace(self, given: int, fresh: Sequence[bytes]) -> None:
        handles = [first_of(NFTA_RULE_HANDLE, payload, 4) for payload in self.ready[:given]]
        if handles != [first_of(NFTA_RULE_HANDLE, payload, 4) for payload in fresh[:given]]:
            raise Interrupted
        self.ready[given:] = fresh[given:]

    def _close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    __del__ = _close

    def __getitem__(self, number: int) -> bytes:  # type: ignore[override]
        while number >= len(self.ready) or number < 0:
            if not self.more():
                break
        return self.ready[number]

    def __len__(self) -> int:
        while self.more():
            pass
        return len(self.ready)

    def __iter__(self) -> Iterator[bytes]:
        number = 0
        while number < len(self.ready) or self.more():
            if number < len(self.ready):
                yield self.ready[number]
                number += 1


def begin(netlink: Netlink, type_: int, body: bytes) -> tuple[int, list[bytes], int]:
    """(sequence number, what came, state) of a dump after its first pieces: most are complete by then."""
    sequence = netlink.begin(type_, body)
    ready: list[bytes] = []
    state = netlink.part(sequence, ready)
    if not state & DONE:
        state |= netlink.part(sequence, ready)
    return sequence, ready, state
