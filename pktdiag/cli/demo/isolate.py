"""A lab that cannot reach the host: its own user (without root), mount, process and network namespaces.

The lab's first process is process 1 of its own pid namespace. When it dies, for whatever reason, the kernel kills
everything in there and takes the network namespaces away with it; it dies with us (PR_SET_PDEATHSIG). So nothing is left
behind by Ctrl-C, by SIGTERM, nor even by SIGKILL.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

from pktdiag.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x2000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def name_process(name: str) -> None:
    """comm, as ps shows it."""
    _libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """SIGKILL when the parent ends, however it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def run(inside: Callable[[], int]) -> int:
    """Runs ``inside`` as process 1 of a lab and returns its status. Raises CliError where no lab can be made."""
    sys.stdout.flush()
    reader, writer = os.pipe()
    own = os.getpid()
    child = os.fork()
    if not child:
        os.close(reader)
        os._exit(_keeper(own, writer, inside))
    os.close(writer)
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number in previous:
        signal.signal(number, _raise_exit)
    try:
        with os.fdopen(reader) as pipe:
            trouble = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        child = 0
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
    if trouble:
        raise CliError("no-lab", "no isolated lab can be made here", trouble.strip(),
                       "run as root" if os.geteuid() else "run it outside of a container, or give that one CAP_SYS_ADMIN")
    return status if status >= 0 else 130 if status == -signal.SIGINT else 128 - status


def _raise_exit(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _keeper(parent: int, writer: int, inside: Callable[[], int]) -> int:
    """Between the caller and the lab: enters the namespaces, so that its next child is process 1 in there."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches everybody in front of the terminal. Only the caller acts on it; the lab just dies, without a word.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent)
    try:
        uid, gid = os.geteuid(), os.getegid()
        if uid:
            # Its ids come first: /proc/net files of a network namespace belong to whoever is root when it is made.
            unshare(CLONE_NEWUSER)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
        unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)
    except OSError as error:
        os.write(writer, f"{error.strerror or error}\n".encode())
        return 2
    own = os.getpid()
    child = os.fork()
    if not child:
        os._exit(_first(own, writer, inside))
    os.close(writer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF


def _first(parent: int, writer: int, inside: Callable[[], int]) -> int:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # getppid() is 0 in here: the parent is out of sight
    try:
        mount("none", "/", "none", MS_REC | MS_PRIVATE)
        _forget_namespaces()
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
        os.mkdir("/run/netns")
    except OSError as error:
        os.write(writer, f"{error.strerror or error}\n".encode())
        return 2
    with suppress(OSError):  # neither is needed: they only keep the real host out of the picture
        unshare(CLONE_NEWCGROUP)
    with suppress(OSError):
        mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.close(writer)
    try:
        status = inside()
    except BrokenPipeError:
        status = 141
    except Exception as error:
        from pktdiag.cli.start import complain
        status = complain(error.line()) if isinstance(error, CliError) else _crash(error)
    with suppress(OSError):
        sys.stdout.flush()
    return status


def _forget_namespaces() -> None:
    """Bind mounts of the host's own network namespaces are none of the lab's business. In a user namespace they cannot be
    taken away (they are locked there) and cannot be entered either."""
    with open("/proc/self/mountinfo", "rb") as file:
        points = [line.split()[4] for line in file if b" - nsfs " in line]
    for point in points:
        _libc.umount2(point.decode("unicode_escape").encode("latin-1"), MNT_DETACH)


def _crash(error: Exception) -> int:
    from pktdiag.cli.start import _unforeseen
    return _unforeseen(error)
