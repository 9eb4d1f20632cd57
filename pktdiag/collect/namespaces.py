"""Network namespaces of the host, found without any tool.

A namespace lives as long as something holds it. What can hold it, and where it is looked for:

- a process or one of its threads: ``/proc/*/ns/net``, ``/proc/*/task/*/ns/net``
- a bind mount, in any mount namespace: ``/proc/*/mountinfo``, reached through ``/proc/PID/root`` (``ip netns``,
  Docker, podman, CNI and containerd all keep theirs so)
- an open descriptor of its nsfs file: ``/proc/*/fd``

Not found: a namespace held by nothing but a socket left behind in it, or by a device of its own that another namespace
points to. Until listns(2) (Linux 6.19) the kernel has no list; its links show up as a peer that cannot be found.
"""

from __future__ import annotations

import os

from pktdiag.collect import containers, mounts, procfs
from pktdiag.collect.census import Census
from pktdiag.model.host import Gap
from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OWN = "/proc/self/ns/net"
_FEW_NAMED = 64
"""So many names of ``ip netns`` are looked at one by one."""
_NS_GET_NSTYPE, _CLONE_NEWNET = 0xB703, 0x40000000  # include/uapi/linux/nsfs.h, sched.h
REMEDY = "run as root (with CAP_SYS_PTRACE)"
NAMED_DIRECTORIES = (mounts.NAMED, "/var/run/netns/")
# Engines' own directories: their file names are ids nobody types (the container's name says it better).
_ENGINE_DIRECTORIES = ("/docker/netns/", "/containerd/", "/cni/", "/exec/netns/", "/ipcns/", "/netns/rootless-")


class NamespaceHandle(NamedTuple):
    """Where to open one namespace, and who is in it."""

    inode: int
    path: str
    """Openable: a bind mount, /proc/PID/ns/net, or a descriptor's /proc path. Check the inode after opening: a pid
    may have been given to another process meanwhile."""
    names: tuple[str, ...]
    """What people call it, most telling first: "host", the container's name, names of ``ip netns``. Raw."""
    pids: tuple[int, ...]
    """Processes in it, ascending (kernel threads left out). From :func:`open_namespace` just the first one found."""


class Scan(NamedTuple):
    """Everything that could be found, and what could not be looked at."""

    handles: tuple[NamespaceHandle, ...]
    gaps: tuple[Gap, ...]


class NoSuchNamespace(LookupError):  # noqa: N818
    """A selector that names nothing, or too much. ``str()`` is one plain line."""

    def __init__(self, code: str, message: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        """"unknown-container", "unknown-namespace", "no-such-process", "no-permission", "ambiguous-name"."""
        self.near = near
        """Names that look alike, best first."""


class _Finding:
    """What is known of one namespace while the scan goes on."""

    __slots__ = ("names", "path", "pids")

    def __init__(self) -> None:
        self.path = ""
        self.names: list[str] = []
        self.pids: list[int] = []


def own_inode() -> int:
    """The namespace pktdiag itself runs in: what ``host`` means."""
    inode = procfs.namespace_inode(OWN)
    return os.stat(OWN).st_ino if inode is None else inode


def scan() -> Scan:
    """Reads all of /proc once. Cost: about 10 µs a process, 2 µs an open descriptor."""
    pids = procfs.pids()
    found: dict[int, _Finding] = {own_inode(): _Finding()}
    found[own_inode()].path = OWN
    hidden = _from_processes(pids, found)
    for mount in _all_mounts(pids):
        finding = found.setdefault(mount.inode, _Finding())
        # A bind mount outlives the processes; only our own link is as sure.
        if finding.path != OWN and not (finding.path and mount.path.startswith(procfs.PROC)):
            finding.path = mount.path
        name = mount_name(mount.target)
        if name and name not in finding.names:
            finding.names.append(name)
    _from_descriptors(pids, found)
    handles = tuple(_handle(inode, finding) for inode, finding in found.items())
    whose = "the network namespace of 1 process" if hidden == 1 else f"the network namespaces of {hidden} processes"
    gap = Gap("", whose, "permission denied", REMEDY)
    return Scan(handles, (gap,) if hidden else ())


def find_namespaces() -> Iterable[NamespaceHandle]:
    """Every namespace that can be found, pktdiag's own first."""
    return scan().handles


def _from_processes(pids: list[int], found: dict[int, _Finding]) -> int:
    """Adds processes and threads; the answer is how many could not be looked at."""
    hidden = 0
    own = own_inode()
    for pid in pids:
        inode = procfs.netns_of(pid)
        if inode is None:
            hidden += procfs.denied(pid)
            continue
        finding = found.setdefault(inode, _Finding())
        finding.path = finding.path or f"{procfs.PROC}/{pid}/ns/net"
        if inode != own or not procfs.kernel_thread(pid):
            finding.pids.append(pid)
        for thread in procfs.threads(pid):
            path = f"{procfs.PROC}/{pid}/task/{thread}/ns/net"
            other = procfs.namespace_inode(path)
            if other is not None and other != inode:
                strayed = found.setdefault(other, _Finding())
                strayed.path = strayed.path or path
                if pid not in strayed.pids:
                    strayed.pids.append(pid)
    return hidden


def _all_mounts(pids: list[int]) -> Iterator[mounts.NamespaceMount]:
    yield from mounts.namespace_mounts()
    for pid in mounts.mount_namespaces(pids).values():
        yield from mounts.namespace_mounts(pid)


def _from_descriptors(pids: list[int], found: dict[int, _Finding]) -> None:
    """Descriptors opened through /proc read ``net:[INODE]``; one opened through a bind mount reads as that mount's path
    (fs/d_path.c: d_path asks nsfs for a name only where the file is no mount's root), and as ``/`` once it is unmounted."""
    nsfs = os.stat(OWN).st_dev
    for pid in pids:
        for path, target in procfs.descriptors(pid):
            if target.startswith("net:["):
                inode = int(target[5:-1])
            elif target == "/" and (detached := _detached(path, nsfs)) is not None:
                inode = detached
            else:
                continue
            finding = found.setdefault(inode, _Finding())
            finding.path = finding.path or path


def _detached(path: str, nsfs: int) -> int | None:
    """Inode of the network namespace behind a descriptor whose mount is gone; other kinds of namespace live on nsfs
    too, and only opening the file tells (ioctl_nsfs(2): NS_GET_NSTYPE)."""
    from fcntl import ioctl

    try:
        if os.stat(path).st_dev != nsfs:
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_ino if ioctl(descriptor, _NS_GET_NSTYPE) == _CLONE_NEWNET else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _handle(inode: int, finding: _Finding) -> NamespaceHandle:
    names = [] if inode != own_inode() else ["host"]
    if inode != own_inode():
        container = containers.of_namespace(finding.pids)
        if container:
            names.append(container)
        if 1 in finding.pids:
            names.append("pid:1")
    names += [name for name in finding.names if name not in names]
    return NamespaceHandle(inode, finding.path, tuple(names), tuple(sorted(finding.pids)))


def mount_name(target: str) -> str:
    """What people call a namespace by its mount point: the last part below /run/netns, the whole path elsewhere, and
    nothing for the ids of engines."""
    for directory in NAMED_DIRECTORIES:
        if target.startswith(directory):
            return target[len(directory):]
    if any(part in target for part in _ENGINE_DIRECTORIES):
        return ""
    return target


def given(name: str) -> bool:
    """Whether a person chose the name, not an engine: CNI's and podman's end with a UUID, other places are a path."""
    last = name[-36:]
    made = len(last) == 36 and all(last[at] == "-" for at in (8, 13, 18, 23)) and all(c in "0123456789abcdefABCDEF-" for c in last)
    return not made and not name.startswith("/")


def candidates() -> Iterator[tuple[int, str]]:
    """(inode, openable path) of every namespace that is cheap to see, each once, lazily: processes, then bind mounts of
    our own mount namespace. For a search that stops at its goal (which namespace has this nsid?)."""
    seen: set[int] = set()
    for pid in procfs.pids():
        inode = procfs.netns_of(pid)
        if inode is not None and inode not in seen:
            seen.add(inode)
            yield inode, f"{procfs.PROC}/{pid}/ns/net"
    for mount in mounts.namespace_mounts():
        if mount.inode not in seen:
            seen.add(mount.inode)
            yield mount.inode, mount.path


def open_namespace(inode: int, census: Census | None = None) -> NamespaceHandle | None:
    """One namespace by inode, without looking further than needed; None when it is nowhere to be found. ``census``: what is known
    already."""
    census = census or Census()
    if inode == own_inode():
        return NamespaceHandle(inode, OWN, ("host",), (os.getpid(),))
    finding = _Finding()
    for mount in mounts.namespace_mounts(inode=inode, data=census.mounts()):
        finding.path = mount.path
        name = mount_name(mount.target)
        if name and name not in finding.names:
            finding.names.append(name)
    # One that somebody gave a name to is called so, whoever is in there; that nobody is takes a look at every process.
    pid = _inhabitant(inode, census) if not any(given(name) for name in finding.names) else None
    if pid is not None:
        finding.path = finding.path or f"{procfs.PROC}/{pid}/ns/net"
        finding.pids.append(pid)
    if finding.path:
        return _handle(inode, finding)
    for handle in find_namespaces():
        if handle.inode == inode:
            return handle
    return None


def of_shelf(inode: int, path: str, census: Census) -> NamespaceHandle | None:
    """One known to be kept in a usual place, if it has a name of ``ip netns``, or is Docker's and somebody lives there: what the
    mount table would tell besides is not worth reading a thousand lines. None: look there."""
    docker = path.startswith(mounts.DOCKERS)
    shelf = census.shelves()[0]
    if len(shelf) > _FEW_NAMED or not (docker or path.startswith(mounts.NAMED)):
        return None
    finding = _Finding()
    finding.path = path
    try:
        finding.names = [mount_name(other) for _, other in shelf if os.stat(other).st_ino == inode]
    except OSError:
        return None
    if not any(given(name) for name in finding.names):
        pid = _inhabitant(inode, census) if docker else None
        if pid is None:
            return None
        finding.pids.append(pid)
    return _handle(inode, finding)


def _inhabitant(inode: int, census: Census) -> int | None:
    """A process of the namespace that tells whose it is: the first one found, unless it may have come in from outside. Who only
    strayed in kept the files of the host; then the lowest pid it is."""
    pid = census.somebody(inode)
    if pid is None or (procfs.readlink(f"{procfs.PROC}/{pid}/ns/mnt") == procfs.readlink(f"{procfs.PROC}/self/ns/mnt")
                       and containers.of(pid) is None):
        return census.first(inode)
    return pid


def of_pid(pid: int) -> NamespaceHandle:
    """The namespace a process lives in; NoSuchNamespace when there is no such process or it may not be looked at."""
    inode = procfs.netns_of(pid)
    if inode is None:
        if procfs.denied(pid):
            raise NoSuchNamespace("no-permission", f"the namespace of process {pid} may not be read: {REMEDY}")
        raise NoSuchNamespace("no-such-process", f"there is no process {pid}")
    finding = _Finding()
    finding.path = OWN if inode == own_inode() else f"{procfs.PROC}/{pid}/ns/net"
    finding.pids.append(pid)
    return _handle(inode, finding)


def resolve(selector: str) -> NamespaceHandle:
    """The namespace meant by ``host``, ``ns:NAME`` (``ip netns``'s name, a path, or ``net:[INODE]``), ``pid:N``, or a
    container's name or (short) id. NoSuchNamespace, with names that look alike, when there is none or more than one."""
    from pktdiag.collect import selector as selectors

    return selectors.resolve(selector)
