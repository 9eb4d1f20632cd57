"""The register file of one evaluation, with the bits nobody can know marked.

struct nft_regs (include/net/netfilter/nf_tables.h): 20 words of 32 bits, the first four of which overlay the verdict.
A value that no reader of the host can know (a TCP sequence number, the CPU) is kept as unknown bits with the reason,
so that masking them away makes the match decidable again.
"""

from __future__ import annotations

import sys

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

SIZE = 80


class Var(NamedTuple):
    """Where unknown bits come from."""

    text: str
    """What is not known, a noun phrase: "the TCP sequence number"."""
    key: object = None
    """Names the quantity for as long as one replay lasts: the same question about it gets the same answer. None: every
    evaluation draws anew."""
    byteorder: Literal["", "big", "little"] = ""
    """Of a number that rules and users say in decimal: a port, a draw."""
    values: int = 0
    """How many it may have; 0: not told."""

    def value(self, data: bytes) -> str:
        """Bytes of a rule that the quantity is compared with."""
        return str(int.from_bytes(data, self.byteorder)) if self.byteorder else f"0x{data.hex()}"


class Registers:
    __slots__ = ("data", "origin", "unknown")

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self.unknown: bytearray | None = None
        """A 1 for each bit that is not known; None while everything is."""
        self.origin: dict[int, Var] = {}
        """By word: the source of its unknown bits."""

    def store(self, offset: int, value: bytes, unknown: bytes | None = None, var: Var | None = None) -> None:
        """Writes whole words, the last one padded with zeroes (nft_payload_eval, nft_reg_store8 do so)."""
        length = len(value)
        pad = -length % 4
        end = offset + length + pad
        if end > SIZE:
            return
        self.data[offset:end] = value + bytes(pad) if pad else value
        if unknown is not None and any(unknown):
            if self.unknown is None:
                self.unknown = bytearray(SIZE)
            self.unknown[offset:end] = unknown + bytes(pad)
            if var is not None:
                for word in range(offset // 4, end // 4):
                    self.origin[word] = var
        elif self.unknown is not None:
            self.unknown[offset:end] = bytes(end - offset)

    def store_draw(self, offset: int, least: int, modulus: int, text: str, key: object = None) -> None:
        """One of ``modulus`` numbers from ``least`` on, in host byte order; nobody knows which."""
        # only the bits that differ between the least and the greatest number are open
        spread = (1 << (least ^ least + modulus - 1).bit_length()) - 1 & 0xFFFFFFFF
        value = (least & 0xFFFFFFFF & ~spread).to_bytes(4, sys.byteorder)
        self.store(offset, value, spread.to_bytes(4, sys.byteorder), Var(text, key, sys.byteorder, modulus))

    def store_unknown(self, offset: int, length: int, var: Var) -> None:
        """``length`` bytes of which nothing is known."""
        self.store(offset, bytes(length), b"\xff" * length, var)

    def load(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def unknown_bits(self, offset: int, length: int) -> bytes | None:
        """The unknown bits of a range; None when all of it is known."""
        if self.unknown is None:
            return None
        bits = bytes(self.unknown[offset : offset + length])
        return bits if any(bits) else None

    def var(self, offset: int, length: int) -> Var:
        """The source of the first unknown bits in a range."""
        if self.unknown is not None:
            for word in range(offset // 4, (offset + length + 3) // 4):
                if word in self.origin and any(self.unknown[word * 4 : word * 4 + 4]):
                    return self.origin[word]
        return Var("a value that cannot be read")


class Doubt(NamedTuple):
    """An Unknown with the key under which one replay remembers its answer."""

    unknown: Unknown
    key: object = None


def doubt(var: Var, question: str, detail: object = None) -> Doubt:
    """The match ``question`` on an unknown quantity: "the TCP window (tcp window == 1024)"."""
    return Doubt(Unknown(f"{var.text} {question}"), None if var.key is None else (var.key, detail))
