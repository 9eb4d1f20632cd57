"""Legacy tables read while the program is still being loaded.

The kernel takes 25 ms to hand over a table of 20,000 rules, all of it in one getsockopt() during which Python has nothing to do but
could go on importing the walk. Only for a packet that starts in our own namespace: its tables are asked for anyway.
"""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread

from pktdiag.collect import procfs
from pktdiag.collect.libc import prepare
from pktdiag.collect.xt_raw import RawSocket, names_file, read_table, socket_family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType


class EarlyTables:
    """The tables of one family in the namespace this thread stands in. Whatever goes wrong is left to the usual way."""

    def __init__(self, family: int) -> None:
        self.family = family
        self._read: dict[str, tuple[bytes, bytes]] = {}
        self._done = allocate_lock()
        names = (procfs.read(names_file(family) or "") or b"").decode("utf-8", "surrogateescape").split()
        if not names:
            return
        prepare("getsockopt", "memcpy")  # nothing is left to be imported by the thread
        try:
            sock = RawSocket(socket_family(family))
        except OSError:
            return
        started = allocate_lock()
        started.acquire()
        self._done.acquire()
        start_new_thread(self._run, (sock, names, started))
        started.acquire()  # else the thread would wait for its turn until this one has something to wait for

    def _run(self, sock: RawSocket, names: list[str], started: LockType) -> None:
        started.release()
        try:
            for name in names:
                self._read[name] = read_table(sock, self.family, name)
        except OSError:
            pass
        finally:
            sock.close()
            self._done.release()

    def take(self, family: int, table: str) -> tuple[bytes, bytes] | None:
        """A table, once; waits for it. None: it was not read here."""
        if family != self.family:
            return None
        with self._done:
            return self._read.pop(table, None)
