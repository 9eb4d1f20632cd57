"""Bob Jenkins' lookup3 as the kernel has it. include/linux/jhash.h, include/linux/kernel.h: reciprocal_scale"""

from __future__ import annotations

import sys

_M = 0xFFFFFFFF


def _rol(value: int, bits: int) -> int:
    return (value << bits | value >> 32 - bits) & _M


def jhash(key: bytes, initval: int) -> int:
    """jhash(): an arbitrary sequence of bytes, read as words in host byte order; the tail byte by byte."""
    a = b = c = 0xDEADBEEF + len(key) + initval & _M
    at, left = 0, len(key)
    while left > 12:
        a = a + int.from_bytes(key[at : at + 4], sys.byteorder) & _M
        b = b + int.from_bytes(key[at + 4 : at + 8], sys.byteorder) & _M
        c = c + int.from_bytes(key[at + 8 : at + 12], sys.byteorder) & _M
        for shift, one in ((4, "a"), (6, "b"), (8, "c"), (16, "a"), (19, "b"), (4, "c")):
            if one == "a":
                a = (a - c & _M) ^ _rol(c, shift)
                c = c + b & _M
            elif one == "b":
                b = (b - a & _M) ^ _rol(a, shift)
                a = a + c & _M
            else:
                c = (c - b & _M) ^ _rol(b, shift)
                b = b + a & _M
        at, left = at + 12, left - 12
    if not left:
        return c
    tail = key[at:].ljust(12, b"\0")
    a = a + int.from_bytes(tail[0:4], "little") & _M
    b = b + int.from_bytes(tail[4:8], "little") & _M
    c = c + int.from_bytes(tail[8:12], "little") & _M
    c = (c ^ b) - _rol(b, 14) & _M
    a = (a ^ c) - _rol(c, 11) & _M
    b = (b ^ a) - _rol(a, 25) & _M
    c = (c ^ b) - _rol(b, 16) & _M
    a = (a ^ c) - _rol(c, 4) & _M
    b = (b ^ a) - _rol(a, 14) & _M
    return (c ^ b) - _rol(b, 24) & _M


def reciprocal_scale(value: int, ep_ro: int) -> int:
    """Maps a 32-bit hash to [0, ep_ro)."""
    return value * ep_ro >> 32
