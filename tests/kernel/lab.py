"""A place apart: a worker process in namespaces of its own, and the network namespaces it makes there.

The worker unshares mounts, pids and network first. Its /run/netns is a private tmpfs and its /proc shows only itself, so
nothing it does can be seen from, or leave anything on, the machine it runs on; when it dies the kernel removes all of it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID = 0x00020000, 0x40000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
RUN = "/run/netns"
PREFIX = "jg"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int) -> None:
    _check(_libc.setns(fd, CLONE_NEWNET), "setns")


def mount(source: str, target: str, fstype: str | None, flags: int = 0) -> None:
    _check(_libc.mount(source.encode(), target.encode(), fstype.encode() if fstype else None, flags, None),
           f"mount {target}")


def in_private_world(work: object) -> int:
    """Forks a child into fresh mount, pid and network namespaces, runs ``work(host_pid)`` there, returns the child's pid
    in this pid namespace. The child ends when its parent does. ``host_pid``: the child's pid as the tracer reports it."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _libc.prctl(1, signal.SIGKILL, 0, 0, 0)
        unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)
        reader, writer = os.pipe()
        inner = os.fork()
        if inner:
            os.close(reader)
            os.write(writer, str(inner).encode())
            os.close(writer)
            signal.signal(signal.SIGTERM, lambda *_: os.kill(inner, signal.SIGKILL))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _, status = os.waitpid(inner, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
        _libc.prctl(1, signal.SIGKILL, 0, 0, 0)
        os.close(writer)
        host_pid = int(os.read(reader, 32))
        os.close(reader)
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        mount("proc", "/proc", "proc")
        os.makedirs(RUN, exist_ok=True)
        mount("tmpfs", RUN, "tmpfs")
        code = int(work(host_pid) or 0)  # type: ignore[operator]
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(code)


class Netns:
    """One network namespace of the lab, named under the private /run/netns while it lives."""

    def __init__(self, name: str, home: int) -> None:
        self.name, self._home = name, home
        self.path = f"{RUN}/{PREFIX}{name}"
        unshare(CLONE_NEWNET)
        try:
            with open(self.path, "w"):
                pass
            mount("/proc/self/ns/net", self.path, None, MS_BIND)
            self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            setns(home)
        self.inode = os.fstat(self.fd).st_ino
        self.id = f"net:[{self.inode}]"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in this namespace meanwhile; sockets and /proc/net files opened there stay there."""
        setns(self.fd)
        try:
            yield
        finally:
            setns(self._home)

    def close(self) -> None:
        """Lets go of it; the kernel takes it down in its own time once the last socket is closed too."""
        os.close(self.fd)
        _libc.umount2(self.path.encode(), MNT_DETACH)
        os.unlink(self.path)
