"""Jenkins' hash as the kernel keys it. include/linux/jhash.h: jhash2, __jhash_final; linux/kernel.h: reciprocal_scale."""

from __future__ import annotations

from struct import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_INITVAL = 0xDEADBEEF
_MASK = 0xFFFFFFFF


def _rol(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _MASK


def native_words(data: bytes) -> tuple[int, ...]:
    """Bytes as the machine's own 32-bit words, the way the kernel hashes addresses."""
    return unpack(f"={len(data) // 4}I", data)


def jhash_words(words: Sequence[int], seed: int) -> int:
    """jhash2(); jhash_1word and jhash_3words are the same for one and three words."""
    a = b = c = _INITVAL + (len(words) << 2) + seed & _MASK
    left = list(words)
    while len(left) > 3:
        a, b, c = a + left[0] & _MASK, b + left[1] & _MASK, c + left[2] & _MASK
        a = (a - c & _MASK) ^ _rol(c, 4)
        c = c + b & _MASK
        b = (b - a & _MASK) ^ _rol(a, 6)
        a = a + c & _MASK
        c = (c - b & _MASK) ^ _rol(b, 8)
        b = b + a & _MASK
        a = (a - c & _MASK) ^ _rol(c, 16)
        c = c + b & _MASK
        b = (b - a & _MASK) ^ _rol(a, 19)
        a = a + c & _MASK
        c = (c - b & _MASK) ^ _rol(b, 4)
        b = b + a & _MASK
        del left[:3]
    if not left:
        return c
    left += [0] * (3 - len(left))
    a, b, c = a + left[0] & _MASK, b + left[1] & _MASK, c + left[2] & _MASK
    c = (c ^ b) - _rol(b, 14) & _MASK
    a = (a ^ c) - _rol(c, 11) & _MASK
    b = (b ^ a) - _rol(a, 25) & _MASK
    c = (c ^ b) - _rol(b, 16) & _MASK
    a = (a ^ c) - _rol(c, 4) & _MASK
    b = (b ^ a) - _rol(a, 14) & _MASK
    return (c ^ b) - _rol(b, 24) & _MASK


def reciprocal_scale(value: int, span: int) -> int:
    return value * span >> 32
