"""What every extension needs: reading C fields, three-valued logic, the words iptables-save uses."""

from __future__ import annotations

from pktdiag.model.packet import Packet, format_address, prefix_mask
from pktdiag.netfilter.context import HookContext, Tri, Unknown

HOTDROP = "xt_hotdrop"
"""Key in ``skb.extra``: a match saw a malformed packet and wants it dropped (struct xt_action_param.hotdrop)."""

_PLAIN = frozenset(b"_-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class UnknownRevisionError(Exception):
    """This revision of the extension is not modelled."""


def text(raw: bytes) -> str:
    """A C string in a fixed field; bytes that are not UTF-8 survive as surrogates."""
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def quoted(value: str) -> str:
    """As libxtables' xtables_save_string writes it: bare when harmless, else in double quotes."""
    raw = value.encode("utf-8", "surrogateescape")
    if raw and all(byte in _PLAIN for byte in raw):
        return value
    escaped = "".join("\\" + char if char in "\"\\'" else char for char in value)
    return f'"{escaped}"'


def be16(data: bytes, offset: int) -> int:
    """A __be16."""
    if offset + 2 > len(data):
        raise IndexError("truncated")
    return data[offset] << 8 | data[offset + 1]


def inet(data: bytes, offset: int, family: int) -> bytes:
    """A union nf_inet_addr (16 bytes) as the address it holds in this family."""
    size = 16 if family == 10 else 4
    if offset + 16 > len(data):
        raise IndexError("truncated")
    return data[offset:offset + size]


def masked(address: bytes, mask: bytes) -> int:
    return int.from_bytes(address, "big") & int.from_bytes(mask, "big")


def mask_length(mask: bytes) -> int | None:
    """Prefix length of a contiguous mask, else None."""
    bits = len(mask) * 8
    value = int.from_bytes(mask, "big")
    length = value.bit_count()
    return length if value == prefix_mask(length, bits) else None


def mask_suffix(mask: bytes) -> str:
    """xtables_ipmask_to_numeric / xtables_ip6mask_to_numeric: empty for a host mask."""
    length = mask_length(mask)
    if length == len(mask) * 8:
        return ""
    return f"/{format_address(mask) if length is None else length}"


def negate(value: Tri) -> Tri:
    return value if isinstance(value, Unknown) else not value


def xor(value: Tri, invert: object) -> Tri:
    """The match's own inversion: an Unknown stays unknown."""
    return negate(value) if invert else value


def hotdrop(ctx: HookContext) -> bool:
    """Asks for the packet to be dropped and does not match."""
    ctx.skb.extra[HOTDROP] = True
    return False


def unknown_field(packet: Packet, field: str, words: str) -> Unknown | None:
    """An Unknown when the packet's ``field`` cannot be known before it exists."""
    return Unknown(words) if field in packet.unknown else None


def port_range(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low}:{high}"


def bang(invert: object) -> str:
    return "! " if invert else ""


def interface_matches(name: str, pattern: bytes, mask: bytes) -> bool:
    """ifname_compare_aligned (include/linux/netfilter/x_tables.h): bytewise under the mask, 16 bytes."""
    raw = name.encode("utf-8", "surrogateescape")[:16].ljust(16, b"\0")
    return not (int.from_bytes(raw, "big") ^ int.from_bytes(pattern, "big")) & int.from_bytes(mask, "big")


def interface_text(pattern: bytes, mask: bytes) -> str:
    """The pattern as given: a mask that does not cover the terminating zero was written with a trailing ``+``, which the
    tools leave in the name (iptables/xshared.c: print_iface)."""
    covered = len(mask.rstrip(b"\0"))
    if covered == 16 or not covered:
        return text(pattern[:covered])
    return text(pattern[:covered]) + ("+" if pattern[covered - 1] else "")


def mac_text(mac: bytes, mask: bytes) -> str:
    """As ebtables and arptables write a MAC address with its mask."""
    return mac.hex(":") if mask == b"\xff" * 6 else f"{mac.hex(':')}/{mask.hex(':')}"
