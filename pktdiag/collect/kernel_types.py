"""The kernel's description of its own types, where something has to be told apart that only a member of a structure shows.

Format: include/uapi/linux/btf.h, Documentation/bpf/btf.rst; the files: kernel/bpf/sysfs_btf.c. What is described for a loadable module
counts its strings on from those of the kernel itself (kernel/bpf/btf.c: btf_parse_module).
"""

from __future__ import annotations

import os
from struct import Struct, error

_HEADER = Struct("=HBBIIIII")  # struct btf_header: magic, version, flags, hdr_len, type_off, type_len, str_off, str_len
_MAGIC, _STRUCT, _TYPE_SIZE, _MEMBER_SIZE = 0xEB9F, 4, 12, 12


def has_member(module: str, structure: str, member: str, folder: str = "/sys/kernel/btf") -> bool | None:
    """Whether ``structure`` as ``module`` (underscores) knows it has ``member``; None where nothing describes it. Reads 5 MB: for rare
    questions that nothing cheaper answers."""
    try:
        kernel, base = _read(f"{folder}/vmlinux")
        found = None
        if os.path.exists(f"{folder}/{module}"):
            found = _search(*_read(f"{folder}/{module}"), base, structure.encode(), member.encode())
        return _search(kernel, base, b"", structure.encode(), member.encode()) if found is None else found
    except (OSError, ValueError, error):
        return None


def _read(path: str) -> tuple[bytes, bytes]:
    """(types, strings)"""
    with open(path, "rb") as file:
        data = file.read()
    magic, _, _, length, type_at, type_length, string_at, string_length = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("not a description of types")
    return data[length + type_at:length + type_at + type_length], data[length + string_at:length + string_at + string_length]


def _search(types: bytes, strings: bytes, base: bytes, structure: bytes, member: bytes) -> bool | None:
    """``base``: the strings in front of ``strings``. A name stands for its own offset, and a structure is known by it: four bytes that
    begin a type of that kind, whose members have names in turn."""
    named = strings.find(b"\0" + structure + b"\0") + 1
    if not named:
        return None
    mark = (len(base) + named).to_bytes(4, "little")
    at = types.find(mark)
    while at >= 0:
        info = int.from_bytes(types[at + 4:at + 8], "little")
        if at % 4 == 0 and info >> 24 & 0x1F == _STRUCT:
            first = at + _TYPE_SIZE
            offsets = [int.from_bytes(types[place:place + 4], "little")
                       for place in range(first, first + (info & 0xFFFF) * _MEMBER_SIZE, _MEMBER_SIZE)]
            return member in [_text(strings, offset - len(base)) if offset >= len(base) else _text(base, offset) for offset in offsets]
        at = types.find(mark, at + 1)
    return None


def _text(strings: bytes, offset: int) -> bytes:
    return strings[offset:strings.find(b"\0", offset)]
