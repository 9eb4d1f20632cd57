"""Processes of a namespace and the owners of its sockets, straight from /proc.

psutil would cost its 20 ms import on the trace path; a trace looks at a handful of processes.
"""

from __future__ import annotations

from pktdiag.collect import procfs
from pktdiag.model.host import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def process(pid: int) -> Process | None:
    """One process; None when it is gone. A field that vanished meanwhile is empty, never an error."""
    uid = procfs.uid(pid)
    if uid is None:
        return None
    from pktdiag.collect import containers

    return Process(pid, procfs.comm(pid), procfs.cmdline(pid), uid, containers.name_of(pid))


def in_namespace(inode: int, pids: Iterable[int] | None = None) -> tuple[Process, ...]:
    """Processes living in a network namespace, ascending by pid; kernel threads (all of them in the first one) are
    left out. ``pids`` narrows the search to processes already known to be there."""
    candidates = procfs.pids() if pids is None else sorted(pids)
    found = []
    for pid in candidates:
        if procfs.netns_of(pid) == inode and not procfs.kernel_thread(pid):
            one = process(pid)
            if one is not None:
                found.append(one)
    return tuple(found)


def pids_in(inode: int) -> tuple[int, ...]:
    """Like :func:`in_namespace`, the pids alone."""
    return tuple(pid for pid in procfs.pids() if procfs.netns_of(pid) == inode and not procfs.kernel_thread(pid))


def socket_owners(inodes: set[int], pids: Iterable[int] | None = None) -> dict[int, tuple[Process, ...]]:
    """Socket inode → the processes that hold a descriptor of it (several after fork()), ascending by pid.

    ``pids``: where to look; None for every process, because a socket may be held outside its namespace (handed over
    by systemd or a runtime, or the process moved on with setns). Sockets nobody was found for are left out: a kernel
    socket has no holder, and /proc/PID/fd of other users needs root (fs/proc/fd.c: proc_fd_permission).
    """
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    holders: dict[int, list[int]] = {}
    for pid in procfs.pids() if pids is None else pids:
        for _path, target in procfs.descriptors(pid):
            inode = wanted.get(target)
            if inode is not None and pid not in holders.setdefault(inode, []):
                holders[inode].append(pid)
    known: dict[int, Process] = {}
    result: dict[int, tuple[Process, ...]] = {}
    for inode, owners in holders.items():
        for pid in owners:
            if pid not in known and (one := process(pid)) is not None:
                known[pid] = one
        alive = tuple(known[pid] for pid in sorted(owners) if pid in known)
        if alive:
            result[inode] = alive
    return result
