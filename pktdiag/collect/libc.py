"""The C calls Python 3.10 lacks: setns(2), getsockopt(2) with an input buffer, bpf(2), and nothing else.

Straight from ``_ctypes``: importing ``ctypes`` costs 6 ms of start-up, its C half 0.5 ms (Python 3.11).
"""

from __future__ import annotations

import os
import posix
from sys import byteorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CLONE_NEWNET = 0x40000000

_functions: dict[str, Callable[..., int]] = {}


def _function(name: str) -> Callable[..., int]:
    """A libc function returning int, errno kept; looked up once."""
    try:
        return _functions[name]
    except KeyError:
        pass
    import _ctypes

    c_int = type("c_int", (_ctypes._SimpleCData,), {"_type_": "i"})
    # FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO: Modules/_ctypes/ctypes.h
    prototype: Any = type("Function", (_ctypes.CFuncPtr,), {"_flags_": 1 | 8, "_restype_": c_int})
    function: Callable[..., int] = prototype(_ctypes.dlsym(_ctypes.dlopen(None, 0), name))  # type: ignore[arg-type]
    _functions[name] = function
    return function


def prepare(*names: str) -> None:
    """Looks functions up that another thread is going to call."""
    for name in names:
        _function(name)


def _call(name: str, *arguments: object) -> int:
    result = (_functions.get(name) or _function(name))(*arguments)
    if result < 0:
        import _ctypes

        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


_arrays: dict[int, Any] = {}
"""Length: the C type of an array of so many bytes."""


def _shared(buffer: bytearray) -> Any:
    """A C array living in ``buffer``: what the kernel writes to it appears there."""
    array = _arrays.get(len(buffer))
    if array is None:
        import _ctypes

        c_char = type("c_char", (_ctypes._SimpleCData,), {"_type_": "c"})
        array = _arrays[len(buffer)] = type("Array", (_ctypes.Array,), {"_type_": c_char, "_length_": len(buffer)})
    made: Any = array
    return made.from_buffer(buffer)


def setns(fd: int) -> None:
    """Moves this thread into the network namespace ``fd`` refers to. OSError when refused."""
    _setns(fd, CLONE_NEWNET)


def _setns_in_c(fd: int, kind: int) -> None:
    _call("setns", fd, kind)


_setns: Callable[[int, int], None] = getattr(posix, "setns", _setns_in_c)  # Python 3.12


def getsockopt(fd: int, level: int, option: int, buffer: bytearray) -> int:
    """getsockopt(2) whose buffer is also its input (the table's name); returns the length the kernel set."""
    length = bytearray(len(buffer).to_bytes(4, byteorder))
    _call("getsockopt", fd, level, option, _shared(buffer), _shared(length))
    return int.from_bytes(length, byteorder)


def getsockopt_large(fd: int, level: int, option: int, request: bytes, size: int) -> bytes:
    """As :func:`getsockopt`, for megabytes: ``request`` and zeroes up to ``size`` go in, what the kernel made of them comes out.

    The kernel writes into a bytes object nobody else has seen yet, as C extensions do (PyBytes_FromStringAndSize(NULL, n)). Its
    memory is not touched before; clearing a bytearray and copying it cost a quarter of the kernel's own time on a table of 11 MB.
    """
    answer = bytes(size)
    _function("memcpy")(answer, request, len(request))
    _call("getsockopt", fd, level, option, answer, _shared(bytearray(size.to_bytes(4, byteorder))))
    return answer


BPF_PROG_QUERY = 16
_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351, "ppc64le": 361, "armv7l": 386, "i686": 357}
_bpf: list[int | None] = []
"""The system call's number on this machine, once it is known."""


def bpf_prog_query(attr: bytearray) -> None:
    """bpf(BPF_PROG_QUERY, attr): lists what is attached. No other bpf command can be reached from here.

    Raises OSError ENOSYS on a machine whose system call number is not known here.
    """
    if not _bpf:
        _bpf.append(_BPF.get(os.uname().machine))
    if _bpf[0] is None:
        import errno

        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    _call("syscall", _bpf[0], BPF_PROG_QUERY, _shared(attr), len(attr))


def address_of(buffer: bytearray) -> tuple[int, object]:
    """Where ``buffer`` lives, for a pointer inside a struct; keep the second value alive as long as it is used."""
    import _ctypes

    array = _shared(buffer)
    return _ctypes.addressof(array), array
