"""Standing inside another network namespace for a moment, and coming back.

A socket belongs to the namespace in which it was made, so most reading needs one visit only. /proc/sys/net and
/proc/thread-self/net show the namespace of the *reading task* (net/sysctl_net.c: net_ctl_header_lookup looks at
current->nsproxy; fs/proc/proc_net.c: get_proc_task_net), so they are read during a visit.
"""

from __future__ import annotations

import os

from pktdiag.collect.libc import setns
from pktdiag.collect.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_XFRM, Netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

OWN_NAMESPACE = "/proc/thread-self/ns/net"


class Closable(Protocol):
    def close(self) -> None: ...


class NamespaceFd:
    """An open /proc/PID/ns/net. Holding it keeps the namespace alive."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.fd)


class FdPool:
    """Open descriptors of all namespaces, the longest unused closed first, so that a host may have any number."""

    def __init__(self, capacity: int = 192) -> None:
        self._capacity = capacity
        self._open: dict[tuple[int, str], Closable] = {}  # in order of use
        self._home: NamespaceFd | None = None
        self._own = 0

    def own(self) -> int:
        """Inode of the namespace in which the pool was first asked."""
        if not self._own:
            self._own = os.stat(OWN_NAMESPACE).st_ino
        return self._own

    def home(self) -> int:
        """Where this thread stood when it was first about to leave. A view is used by one thread, in one place."""
        if self._home is None:
            self._home = NamespaceFd(OWN_NAMESPACE)
        return self._home.fd

    def get(self, key: tuple[int, str]) -> Closable | None:
        found = self._open.pop(key, None)
        if found is not None:
            self._open[key] = found
        return found

    def put(self, key: tuple[int, str], value: Closable) -> None:
        while len(self._open) >= self._capacity:
            self._open.pop(next(iter(self._open))).close()
        self._open[key] = value

    def drop(self, key: tuple[int, str]) -> None:
        """Leaves it to whoever got it."""
        self._open.pop(key, None)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()
        if self._home is not None:
            self._home.close()
            self._home = None
        self._own = 0

    def __len__(self) -> int:
        return len(self._open)


class Visit:
    """A stay in another namespace. Not being able to come back ends the process: every later answer would be about the
    wrong host."""

    __slots__ = ("_home", "_target")

    def __init__(self, target: int | None, home: int) -> None:
        self._target, self._home = target, home

    def __enter__(self) -> None:
        if self._target is not None:
            setns(self._target)

    def __exit__(self, *_: object) -> None:
        if self._target is None:
            return
        try:
            setns(self._home)
        except OSError as error:
            raise SystemExit(f"pktdiag: cannot return to its own network namespace: {error}") from error


_STAY = Visit(None, -1)


class Door:
    """The way into one namespace: its sockets, and visits to it. Raises OSError where it cannot be entered."""

    def __init__(self, inode: int, path: str, pool: FdPool) -> None:
        self.inode, self.path = inode, path
        self._pool = pool
        self._here = pool.own() == inode

    def fd(self) -> int:
        """A descriptor of the namespace. FileNotFoundError when ``path`` has come to name another one."""
        key = (self.inode, "ns")
        known = self._pool.get(key)
        if not isinstance(known, NamespaceFd):
            known = NamespaceFd(OWN_NAMESPACE if self._here else self.path)
            if os.fstat(known.fd).st_ino != self.inode:  # the pid was used again by another process
                known.close()
                raise FileNotFoundError(2, os.strerror(2), self.path)
            self._pool.put(key, known)
        return known.fd

    def inside(self) -> Visit:
        """``with door.inside():`` this thread stands in the namespace within the block."""
        return _STAY if self._here else Visit(self.fd(), self._pool.home())

    def _netlink(self, name: str, protocol: int) -> Netlink:
        known = self._pool.get((self.inode, name))
        if not isinstance(known, Netlink):
            with self.inside():
                known = Netlink(protocol)
            self._pool.put((self.inode, name), known)
        return known

    def route(self) -> Netlink:
        return self._netlink("route", NETLINK_ROUTE)

    def spare_route(self) -> Netlink:
        """One more, for a dump that may be given up in the middle; the caller closes it."""
        with self.inside():
            return Netlink(NETLINK_ROUTE)

    def netfilter(self) -> Netlink:
        return self._netlink("netfilter", NETLINK_NETFILTER)

    def give_netfilter(self) -> None:
        """Whoever asked for the socket keeps it, and closes it; the next one gets another."""
        self._pool.drop((self.inode, "netfilter"))

    def diag(self) -> Netlink:
        return self._netlink("diag", NETLINK_SOCK_DIAG)

    def xfrm(self) -> Netlink:
        return self._netlink("xfrm", NETLINK_XFRM)

    def read(self, path: str) -> bytes | None:
        """A whole /proc or /sys file as the namespace sees it; None where there is no such file."""
        with self.inside():
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                return None
        # Which namespace a file speaks of was settled when it was opened.
        try:
            chunks = []
            while chunk := os.read(fd, 1 << 16):
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            os.close(fd)

    def sysctls(self, paths: tuple[str, ...]) -> list[bytes | OSError | None]:
        """Files below /proc/sys, as the namespace sees them, in one visit; an error stands in its place."""
        found: list[bytes | OSError | None] = []
        with self.inside():
            for path in paths:
                try:
                    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except (FileNotFoundError, NotADirectoryError):
                    found.append(None)
                except OSError as error:
                    found.append(error)
                else:
                    try:
                        content = os.read(fd, 1 << 12)  # a sysctl comes in one piece of at most a page (proc_sys_call_handler)
                        while len(content) >= 512 and (more := os.read(fd, 1 << 16)):
                            content += more
                        found.append(content)
                    except OSError as error:
                        found.append(error)
                    finally:
                        os.close(fd)
        return found
