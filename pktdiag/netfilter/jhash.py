"""Bob Jenkins' lookup3 hash as the kernel has it: NAT, HMARK, cluster and nft jhash choose with it, without any secret of
their own, so their choice can be foretold. include/linux/jhash.h, include/linux/kernel.h (reciprocal_scale)."""

from __future__ import annotations

from struct import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_INITVAL = 0xDEADBEEF
_MASK = 0xFFFFFFFF


def _rol(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK


def jhash2(words: Sequence[int], initval: int) -> int:
    """Hash of 32-bit words; jhash_1word and jhash_3words are the same for one and three words."""
    return _hash(words, len(words) << 2, initval)


def jhash(key: bytes, initval: int) -> int:
    """Hash of any bytes: whole blocks of twelve as words in host byte order, the tail byte by byte (little end first)."""
    blocks = max(len(key) - 1, 0) // 12 * 12
    tail = key[blocks:].ljust(12, b"\0") if key else b""
    return _hash(native_words(key[:blocks]) + unpack(f"<{len(tail) // 4}I", tail), len(key), initval)


def _hash(words: Sequence[int], length: int, initval: int) -> int:
    a = b = c = (_INITVAL + length + initval) & _MASK
    at, left = 0, len(words)
    while left > 3:
        a, b, c = (a + words[at]) & _MASK, (b + words[at + 1]) & _MASK, (c + words[at + 2]) & _MASK
        a = ((a - c) & _MASK) ^ _rol(c, 4)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _rol(a, 6)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _rol(b, 8)
        b = (b + a) & _MASK
        a = ((a - c) & _MASK) ^ _rol(c, 16)
        c = (c + b) & _MASK
        b = ((b - a) & _MASK) ^ _rol(a, 19)
        a = (a + c) & _MASK
        c = ((c - b) & _MASK) ^ _rol(b, 4)
        b = (b + a) & _MASK
        at, left = at + 3, left - 3
    if left == 0:
        return c
    if left == 3:
        c = (c + words[at + 2]) & _MASK
    if left >= 2:
        b = (b + words[at + 1]) & _MASK
    a = (a + words[at]) & _MASK
    c = ((c ^ b) - _rol(b, 14)) & _MASK
    a = ((a ^ c) - _rol(c, 11)) & _MASK
    b = ((b ^ a) - _rol(a, 25)) & _MASK
    c = ((c ^ b) - _rol(b, 16)) & _MASK
    a = ((a ^ c) - _rol(c, 4)) & _MASK
    b = ((b ^ a) - _rol(a, 14)) & _MASK
    return ((c ^ b) - _rol(b, 24)) & _MASK


def native_words(data: bytes) -> tuple[int, ...]:
    """Bytes as the machine's own 32-bit words, the way the kernel hashes addresses."""
    return unpack(f"={len(data) // 4}I", data)


def reciprocal_scale(value: int, span: int) -> int:
    """Maps a 32-bit hash to [0, span)."""
    return value * span >> 32
