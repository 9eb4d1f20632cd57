"""Members of structures in the kernel's description of its types: this kernel's own, and one made up with a module on top."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from pktdiag.collect.kernel_types import has_member

STRUCT, TYPEDEF = 4, 8


@pytest.mark.skipif(not os.path.exists("/sys/kernel/btf/vmlinux"), reason="this kernel does not describe its types")
def test_this_kernel() -> None:
    assert has_member("vmlinux", "net_device", "ifindex") is True
    assert has_member("vmlinux", "net_device", "nothing_such") is False
    assert has_member("vmlinux", "nothing_such", "ifindex") is None
    assert has_member("no_such_module", "sk_buff", "len") is True


def described(types: bytes, strings: bytes) -> bytes:
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def structure(name: int, *members: int) -> bytes:
    return struct.pack("=III", name, STRUCT << 24 | len(members), 0) + b"".join(struct.pack("=III", each, 0, 0) for each in members)


def test_a_module_counts_on_from_the_kernels_strings(tmp_path: Path) -> None:
    base, more = b"\0old\0shared\0", b"\0new\0own\0"
    one_word = struct.pack("=III", len(base) + 1, TYPEDEF << 24, 1)  # of the same name, and no structure
    (tmp_path / "vmlinux").write_bytes(described(structure(1, 5), base))
    (tmp_path / "mod").write_bytes(described(one_word + structure(len(base) + 1, 5, len(base) + 5), more))
    folder = str(tmp_path)
    assert [has_member("mod", "new", name, folder) for name in ("shared", "own", "old")] == [True, True, False]
    assert [has_member("mod", "old", name, folder) for name in ("shared", "own")] == [True, False]  # the kernel's, used by the module
    assert has_member("other", "new", "own", folder) is None


def test_damage_tells_nothing(tmp_path: Path) -> None:
    whole = described(structure(1, 5), b"\0old\0shared\0")
    for cut in (b"", whole[:10], b"\0\0" + whole[2:], whole[:24]):
        (tmp_path / "vmlinux").write_bytes(cut)
        assert has_member("mod", "old", "shared", str(tmp_path)) is None
    assert has_member("mod", "old", "shared", str(tmp_path / "nowhere")) is None
