"""/proc, read directly and without surprises: a process that vanishes between two reads is normal.

Every reader returns None (or nothing) for "gone or not permitted"; callers that must tell the two apart use
:func:`denied`.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = "/proc"


def pids() -> list[int]:
    """All visible processes, in the order /proc lists them: ascending (fs/proc/base.c: proc_pid_readdir)."""
    try:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]
    except OSError:
        return []


def threads(pid: int) -> list[int]:
    """The other threads of a process; empty for the usual single-threaded one.

    The link count of /proc/PID/task is 2 + threads (fs/proc/base.c: proc_task_getattr), so most processes cost one
    stat and no directory read.
    """
    path = f"{PROC}/{pid}/task"
    try:
        if os.stat(path).st_nlink <= 3:
            return []
        return [int(name) for name in os.listdir(path) if name.isdigit() and int(name) != pid]
    except OSError:
        return []


def read(path: str) -> bytes | None:
    """The whole file, or None when it is gone, forbidden, or no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        chunks = []
        while chunk := os.read(descriptor, 1 << 18):
            chunks.append(chunk)
        return b"".join(chunks)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def readlink(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def namespace_inode(path: str) -> int | None:
    """Inode of a namespace from its /proc link text ``net:[4026531840]`` (fs/nsfs.c: ns_get_name)."""
    target = readlink(path)
    if target is None or not target.startswith("net:["):
        return None
    return int(target[5:-1])


def netns_of(pid: int) -> int | None:
    """The network namespace of a process; None: gone, a zombie, or not ours to see."""
    return namespace_inode(f"{PROC}/{pid}/ns/net")


def denied(pid: int) -> bool:
    """The process exists but its namespaces may not be read (PTRACE_MODE_READ, fs/proc/namespaces.c:
    proc_ns_readlink)."""
    try:
        os.readlink(f"{PROC}/{pid}/ns/net")
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def comm(pid: int) -> str:
    """The process's name, raw; up to 15 bytes it chose itself (PR_SET_NAME), "" when gone."""
    return (read(f"{PROC}/{pid}/comm") or b"").decode("utf-8", "surrogateescape").removesuffix("\n")


def cmdline(pid: int) -> tuple[str, ...]:
    """The command line; empty for kernel threads, zombies and vanished processes. Raw: a process may rewrite it."""
    data = read(f"{PROC}/{pid}/cmdline")
    if not data:
        return ()
    return tuple(data.decode("utf-8", "surrogateescape").removesuffix("\0").split("\0"))


def uid(pid: int) -> int | None:
    """Effective uid: the owner of the /proc/PID directory itself, even of a non-dumpable process
    (fs/proc/base.c: task_dump_owner)."""
    try:
        return os.stat(f"{PROC}/{pid}").st_uid
    except OSError:
        return None


def parent(pid: int) -> int | None:
    """PPid from /proc/PID/stat; the name in it may hold spaces and parentheses, so count from the last one."""
    data = read(f"{PROC}/{pid}/stat")
    if not data:
        return None
    fields = data[data.rfind(b")") + 2:].split()
    return int(fields[1]) if len(fields) > 1 else None


def kernel_thread(pid: int) -> bool:
    """Kernel threads have no executable (fs/proc/base.c: proc_exe_link → get_task_exe_file is NULL → ENOENT)."""
    try:
        os.readlink(f"{PROC}/{pid}/exe")
    except FileNotFoundError:
        return os.access(f"{PROC}/{pid}/stat", os.F_OK)
    except OSError:
        return False
    return False


def descriptors(pid: int) -> Iterator[tuple[str, str]]:
    """(path, target) of every open descriptor; silently empty where forbidden."""
    directory = f"{PROC}/{pid}/fd"
    try:
        numbers = os.listdir(directory)
    except OSError:
        return
    for number in numbers:
        path = f"{directory}/{number}"
        target = readlink(path)
        if target is not None:
            yield path, target
