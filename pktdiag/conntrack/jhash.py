"""Bob Jenkins' lookup3 hash as the kernel uses it: jhash2() of include/linux/jhash.h. NAT picks one address of a range
with it, and without any secret, so the choice can be foretold."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


_MASK = 0xFFFFFFFF
_INITVAL = 0xDEADBEEF


def _rol(word: int, shift: int) -> int:
    return (word << shift | word >> (32 - shift)) & _MASK


def jhash2(words: Sequence[int], initval: int) -> int:
    """Hash of 32-bit words."""
    a = b = c = (_INITVAL + (len(words) << 2) + initval) & _MASK
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
