"""Mount tables: namespaces kept alive by a bind mount, and where an engine keeps its state.

``/proc/PID/mountinfo`` (fs/proc_namespace.c: show_mountinfo) shows a namespace mount with its inode as the *root*
field: ``98 29 0:4 net:[4026532253] /run/netns/blue rw shared:5 - nsfs nsfs rw``.
"""

from __future__ import annotations

import os

from pktdiag.collect import procfs
from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Mount(NamedTuple):
    """One line of mountinfo."""

    device: str
    """``major:minor``"""
    root: str
    """Which part of the filesystem is mounted, a path inside it; ``net:[INODE]`` for a network namespace."""
    target: str
    """Where, as the process sees it."""
    fstype: str


class NamespaceMount(NamedTuple):
    """A network namespace bind-mounted somewhere."""

    inode: int
    path: str
    """Openable from here: below /proc/PID/root when another mount namespace holds it."""
    target: str
    """The mount point as its own mount namespace knows it."""


def unescape(field: str) -> str:
    """Undoes mangle() of fs/proc_namespace.c: space, tab, newline, backslash and # as three octal digits."""
    if "\\" not in field:
        return field
    head, *parts = field.split("\\")
    out = [head]
    for part in parts:
        digits = part[:3]
        if len(digits) == 3 and all(c in "01234567" for c in digits):
            out.append(chr(int(digits, 8)) + part[3:])
        else:
            out.append("\\" + part)
    return "".join(out)


def parse_line(line: str) -> Mount | None:
    fields = line.split(" ")
    try:
        separator = fields.index("-", 6)
        return Mount(fields[2], unescape(fields[3]), unescape(fields[4]), fields[separator + 1])
    except (ValueError, IndexError):
        return None


def table(pid: int | str = "self", wanted: str = "") -> list[Mount]:
    """Every mount a process sees, or those in whose line ``wanted`` stands; empty when it is gone or forbidden."""
    data = procfs.read(f"{procfs.PROC}/{pid}/mountinfo") or b""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [mount for line in lines if line and wanted in line and (mount := parse_line(line))]


def stands_at(device: str, path: str) -> bool:
    """Whether ``path`` here is on the filesystem ``device`` (``major:minor``)."""
    try:
        number = os.stat(path).st_dev
    except OSError:
        return False
    return f"{os.major(number)}:{os.minor(number)}" == device


def mentions(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The lines of a mount table in which ``wanted`` stands."""
    at = data.find(wanted)
    while at >= 0:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield data[data.rfind(b"\n", 0, at) + 1:end]
        at = data.find(wanted, end)


class Listed:
    """(inode, path) of the network namespaces in our own mount table, in the order in which they were mounted. Not looked at: a
    path may name something else by now, or be hidden. A line is taken apart when it is asked for: a search looks at few of many."""

    __slots__ = ("_lines",)

    def __init__(self, data: bytes) -> None:
        # Spaces in names are escaped: these two can stand nowhere but in the root and in front of the filesystem's type.
        self._lines = [line for line in data.split(b"\n") if b" net:[" in line and b" - nsfs " in line]

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, number: int) -> tuple[int, str]:
        _, _, _, root, target, _ = self._lines[number].split(b" ", 5)
        return int(root[5:-1]), unescape(target.decode("utf-8", "surrogateescape"))

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return (self[number] for number in range(len(self._lines)))


DOCKERS, NAMED = "/run/docker/netns/", "/run/netns/"
"""Where namespaces are usually kept: by Docker; by ``ip netns``, CNI and podman."""


def shelf(directory: str) -> list[tuple[int, str]]:
    """As :class:`Listed`, what is kept in one place, oldest first, with 0 for the inode: a file system gives its own files ascending
    numbers, and a directory of a thousand is read in a quarter of the time of their mount table."""
    try:
        with os.scandir(directory) as entries:
            return [(0, directory + name) for _, name in sorted((entry.inode(), entry.name) for entry in entries)]
    except OSError:
        return []


def namespace_mounts(pid: int | str = "self", inode: int | None = None, data: bytes | None = None) -> list[NamespaceMount]:
    """Network namespaces (or the one) mounted where ``pid`` sees them, according to its mount table. A mount hidden below a later
    one is left out when it is this process's own table: it cannot be opened by path."""
    if data is None:
        data = procfs.read(f"{procfs.PROC}/{pid}/mountinfo") or b""
    prefix = "" if pid == "self" else f"{procfs.PROC}/{pid}/root"
    found = []
    for raw in mentions(data, b" net:[" if inode is None else b" net:[%d]" % inode):
        mount = parse_line(raw.decode("utf-8", "surrogateescape"))
        if mount is None or mount.fstype != "nsfs" or not mount.root.startswith("net:["):
            continue
        number = int(mount.root[5:-1])
        path = prefix + mount.target
        try:
            visible = os.stat(path).st_ino == number
        except OSError:
            visible = False
        if visible:
            found.append(NamespaceMount(number, path, mount.target))
    return found


def mount_namespaces(pids: list[int]) -> dict[int, int]:
    """Mount namespace inode → one process in it, our own left out."""
    own = procfs.readlink(f"{procfs.PROC}/self/ns/mnt")
    found: dict[int, int] = {}
    seen = {own}
    for pid in pids:
        link = procfs.readlink(f"{procfs.PROC}/{pid}/ns/mnt")
        if link is None or link in seen or not link.startswith("mnt:["):
            continue
        seen.add(link)
        found[int(link[5:-1])] = pid
    return found


def host_path(device: str, root: str, mounts: list[Mount]) -> str | None:
    """Where a file, named by filesystem and path inside it, stands in the given mount table.

    The longest mounted root wins: a bind mount deeper in the tree shows the file just as well.
    """
    best: tuple[int, str] | None = None
    for mount in mounts:
        if mount.device != device:
            continue
        base = mount.root.rstrip("/")
        if root == mount.root or root.startswith(base + "/"):
            rest = root[len(base):]
            if best is None or len(base) > best[0]:
                best = (len(base), (mount.target.rstrip("/") + rest) or "/")
    return best[1] if best else None
