"""What the parts of a live namespace share: its door, its memory, and how a failure becomes a Gap."""

from __future__ import annotations

from errno import EBADMSG
from struct import error as struct_error

from pktdiag.collect.nsenter import Door, FdPool
from pktdiag.model.host import Gap, Process
from pktdiag.model.view import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol, TypeVar

    T = TypeVar("T")
else:
    Protocol = object


class Host(Protocol):
    """What a namespace needs of the live host."""

    pool: FdPool

    assume_empty: bool

    def resolve_nsid(self, asking: Door, nsid: int) -> Any: ...

    def resolve_nsids(self, asking: Door, nsids: Iterable[int]) -> dict[int, Any]: ...

    def early_table(self, asking: Door, family: int, table: str) -> tuple[bytes, bytes] | None: ...

    def names_of(self, namespace: Any) -> tuple[str, ...]: ...

    def owners(self, namespace: Any, inode: int) -> tuple[Process, ...]: ...

    def note_gap(self, gap: Gap) -> None: ...


class Asking:
    """Every answer is read once and remembered, failures too: within one view a question has one answer."""

    host: Host
    door: Door

    @property
    def id(self) -> str:
        raise NotImplementedError

    def __init__(self) -> None:
        self._known: dict[object, Any] = {}

    def ask(self, key: object, what: str, read: Callable[[], T]) -> T:
        """The remembered answer, or ``read()``'s. Raises Unreadable with ``what`` (a noun phrase) when it fails."""
        known = self._known
        if key in known:
            remembered = known[key]
            if type(remembered) is Unreadable:
                raise remembered.with_traceback(None)
            answer: T = remembered
            return answer
        try:
            answer = read()
        except OSError as error:
            failure = self.unreadable(what, error)
            known[key] = failure
            raise failure from error
        except (LookupError, ValueError, struct_error) as error:  # bytes that make no sense to the decoders
            failure = self.unreadable(what, OSError(EBADMSG, str(error)))
            known[key] = failure
            raise failure from error
        known[key] = answer
        return answer

    def unreadable(self, what: str, error: OSError) -> Unreadable:
        from pktdiag.collect.gaps import gap_of

        gap = gap_of(self.id, what, error)
        self.host.note_gap(gap)
        return Unreadable(gap)

    def forget(self) -> None:
        self._known.clear()
