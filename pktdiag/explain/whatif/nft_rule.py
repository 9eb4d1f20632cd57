"""Builds nf_tables rules as the kernel would report them, for walking a proposed rule (never sent anywhere).

Attribute numbers: include/uapi/linux/netfilter/nf_tables.h. All integers are big-endian.
"""

from __future__ import annotations

from struct import pack

from pktdiag.model.kernel import AF_INET

TABLE_NAME = "pktdiag-whatif"
_META_L4PROTO, _META_IIFNAME, _META_OIFNAME = 16, 6, 7
_REG_1, _REG_2 = 1, 2


def attribute(kind: int, body: bytes, nested: bool = False) -> bytes:
    """One netlink attribute, padded to four bytes."""
    padding = bytes(-len(body) % 4)
    return pack("=HH", len(body) + 4, kind | (0x8000 if nested else 0)) + body + padding


def _u32(kind: int, value: int) -> bytes:
    return attribute(kind, pack(">I", value))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _expression(name: str, data: bytes) -> bytes:
    return attribute(1, _text(1, name) + attribute(2, data, True), True)


def meta_equal(key: int, value: bytes) -> bytes:
    """``meta KEY VALUE``"""
    return _expression("meta", _u32(1, _REG_1) + _u32(2, key)) + compare(value)


def compare(value: bytes, operator: int = 0) -> bytes:
    return _expression("cmp", _u32(1, _REG_1) + _u32(2, operator) + attribute(3, attribute(1, value), True))


def payload_equal(base: int, offset: int, value: bytes) -> bytes:
    """Compares bytes of the network (1) or transport (2) header."""
    return _expression("payload", _u32(1, _REG_1) + _u32(2, base) + _u32(3, offset) + _u32(4, len(value))) + compare(value)


def match_protocol(proto: int) -> bytes:
    return meta_equal(_META_L4PROTO, bytes((proto,)))


def match_port(proto: int, dport: int) -> bytes:
    return match_protocol(proto) + payload_equal(2, 2, pack(">H", dport))


def match_device(name: str, *, out: bool) -> bytes:
    return meta_equal(_META_OIFNAME if out else _META_IIFNAME, name.encode().ljust(16, b"\0"))


def match_address(address: bytes, *, destination: bool) -> bytes:
    v4 = len(address) == 4
    return payload_equal(1, (16 if destination else 12) if v4 else (24 if destination else 8), address)


def match_family(family: int) -> bytes:
    """``meta nfproto``, for rules of inet tables."""
    return meta_equal(15, bytes((family,)))


def match_answers() -> bytes:
    """``ct state established,related``: the state's bits (NF_CT_STATE_BIT: established 2, related 4) are in host byte order."""
    zero, bits = bytes(4), pack("=I", 2 | 4)
    masked = (_u32(1, _REG_1) + _u32(2, _REG_1) + _u32(3, 4) + attribute(4, attribute(1, bits), True)
              + attribute(5, attribute(1, zero), True))
    return _expression("ct", _u32(1, _REG_1) + _u32(2, 0)) + _expression("bitwise", masked) + compare(zero, 1)


def counter() -> bytes:
    return _expression("counter", attribute(1, bytes(8)) + attribute(2, bytes(8)))


def accept() -> bytes:
    """The verdict NF_ACCEPT."""
    verdict = attribute(2, _u32(1, 1), True)
    return _expression("immediate", _u32(1, 0) + attribute(2, verdict, True))


def _load(register: int, value: bytes) -> bytes:
    return _expression("immediate", _u32(1, register) + attribute(2, attribute(1, value), True))


def dnat(address: bytes, port: int) -> bytes:
    """``dnat to ADDRESS:PORT``; port 0 keeps the port."""
    family = AF_INET if len(address) == 4 else 10
    loads = _load(_REG_1, address)
    data = _u32(1, 1) + _u32(2, family) + _u32(3, _REG_1)
    if port:
        loads += _load(_REG_2, pack(">H", port))
        data += _u32(5, _REG_2)
    return loads + _expression("nat", data)


def masquerade() -> bytes:
    return _expression("masq", b"")


def rule(family: int, table: str, chain: str, expressions: bytes) -> bytes:
    """An NFT_MSG_NEWRULE payload."""
    return (pack("=BBH", family, 0, 0) + _text(1, table) + _text(2, chain) + attribute(3, bytes(8))
            + attribute(4, expressions, True))


def table(family: int) -> bytes:
    """An NFT_MSG_NEWTABLE payload for the what-if table."""
    return pack("=BBH", family, 0, 0) + _text(1, TABLE_NAME) + _u32(2, 0) + _u32(3, 1) + attribute(4, pack(">Q", 1 << 40))


def nat_chain(family: int, hook: int, priority: int) -> bytes:
    """An NFT_MSG_NEWCHAIN payload of a nat base chain in the what-if table, policy accept."""
    hooked = _u32(1, hook) + attribute(2, pack(">i", priority))
    return (pack("=BBH", family, 0, 0) + _text(1, TABLE_NAME) + attribute(2, pack(">Q", 1 << 40)) + _text(3, chain_name(hook))
            + attribute(4, hooked, True) + _u32(5, 1) + _text(7, "nat"))


def chain_name(hook: int) -> str:
    return f"hook-{hook}"
