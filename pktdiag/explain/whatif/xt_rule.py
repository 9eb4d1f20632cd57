"""Puts a rule into a legacy iptables blob, as ``iptables -I CHAIN`` would make it look to IPT_SO_GET_ENTRIES.

Layout: include/uapi/linux/netfilter_ipv4/ip_tables.h. An entry inserted at the head of a chain moves everything behind it:
the jumps that point behind it, the hook entries and the underflows are shifted by its size.
"""

from __future__ import annotations

from struct import calcsize, pack, pack_into, unpack_from

from pktdiag.model.kernel import AF_INET

_NAME = 32
_INFO_HOOKS = _NAME + 4
_ENTRIES_HEADER = 40
"""struct ipt_get_entries: name[32], size, then aligned to eight."""
_TARGET_HEADER = 32


def _sizes(family: int) -> tuple[int, int, int]:
    """(size of struct ipt_entry, offset of target_offset, offset of next_offset)."""
    return (112, 88, 90) if family == AF_INET else (168, 140, 142)


def accept_entry(family: int, src: bytes | None, dst: bytes | None, proto: int, iif: str = "", oif: str = "",
                 answers: bool = False) -> bytes:
    """An entry that accepts what has these addresses, this protocol and these devices (empty: any). ``answers``: only
    established and related packets (struct xt_state_info: XT_STATE_BIT 2 and 4)."""
    size, target_at, next_at = _sizes(family)
    match = pack("=H29sB", 40, b"state", 0) + pack("=I", 2 | 4) + bytes(4) if answers else b""
    target = pack("=H29sB", 40, b"", 0) + pack("=i", -2) + bytes(4)
    entry = bytearray(size) + match + target
    width = 4 if family == AF_INET else 16
    for slot, address in ((0, src), (1, dst)):
        if address is not None:
            entry[slot * width:slot * width + width] = address
            entry[(2 + slot) * width:(2 + slot) * width + width] = b"\xff" * width
    devices = 4 * width
    for slot, name in ((0, iif), (1, oif)):
        raw = name.encode()
        entry[devices + slot * 16:devices + slot * 16 + len(raw)] = raw
        mask = b"\xff" * (len(raw) + 1 if raw else 0)
        entry[devices + 32 + slot * 16:devices + 32 + slot * 16 + len(mask)] = mask[:16]
    pack_into("=H", entry, devices + 64, proto)
    if family != AF_INET and proto:
        entry[devices + 64 + 3] = 1  # IP6T_F_PROTO
    pack_into("=HH", entry, target_at, size + len(match), size + len(match) + 40)
    assert next_at == target_at + 2
    return bytes(entry)


def insert(info: bytes, entries: bytes, chain: str, entry: bytes, family: int) -> tuple[bytes, bytes]:
    """Returns (info, entries) with ``entry`` first in ``chain``. Raises KeyError when the table has no such chain."""
    body = bytearray(entries[_ENTRIES_HEADER:])
    place = _chain_start(info, body, chain, family)
    grown = len(entry)
    _size, target_at, _next_at = _sizes(family)
    position = 0
    while position < len(body):
        target_offset, next_offset = unpack_from("=HH", body, position + target_at)
        name = bytes(body[position + target_offset + 2:position + target_offset + 31]).rstrip(b"\0")
        if not name:
            at = position + target_offset + _TARGET_HEADER
            verdict = unpack_from("=i", body, at)[0]
            if verdict > place:
                pack_into("=i", body, at, verdict + grown)
        position += next_offset
    new_info = bytearray(info)
    count_at = _INFO_HOOKS + 40
    valid = unpack_from("=I", info, _NAME)[0]
    for hook in range(5):
        if not valid & 1 << hook:
            continue
        start = unpack_from("=I", info, _INFO_HOOKS + 4 * hook)[0]
        under = unpack_from("=I", info, _INFO_HOOKS + 20 + 4 * hook)[0]
        if start > place:
            pack_into("=I", new_info, _INFO_HOOKS + 4 * hook, start + grown)
        if under >= place:
            pack_into("=I", new_info, _INFO_HOOKS + 20 + 4 * hook, under + grown)
    number, total = unpack_from("=II", info, count_at)
    pack_into("=II", new_info, count_at, number + 1, total + grown)
    new_body = bytes(body[:place]) + entry + bytes(body[place:])
    header = bytearray(entries[:_ENTRIES_HEADER])
    pack_into("=I", header, _NAME, total + grown)
    return bytes(new_info), bytes(header) + new_body


def _chain_start(info: bytes, body: bytearray, chain: str, family: int) -> int:
    """Offset of a chain's first rule: a built-in's hook entry, or what follows a user chain's ERROR marker."""
    builtin = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
    valid = unpack_from("=I", info, _NAME)[0]
    if chain in builtin:
        hook = builtin.index(chain)
        if not valid & 1 << hook:
            raise KeyError(chain)
        return int(unpack_from("=I", info, _INFO_HOOKS + 4 * hook)[0])
    _size, target_at, _ = _sizes(family)
    position = 0
    while position < len(body):
        target_offset, next_offset = unpack_from("=HH", body, position + target_at)
        target = position + target_offset
        if bytes(body[target + 2:target + 31]).rstrip(b"\0") == b"ERROR":
            name = bytes(body[target + _TARGET_HEADER:target + _TARGET_HEADER + 30]).split(b"\0")[0]
            if name.decode(errors="replace") == chain:
                return int(position + next_offset)
        position += next_offset
    raise KeyError(chain)


assert calcsize("=H29sB") == _TARGET_HEADER
