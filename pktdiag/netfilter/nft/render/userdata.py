"""What user space keeps with rules, sets and elements, which the kernel hands back unread: type, length, value, the first two of a byte
each (libnftnl, include/libnftnl/udata.h)."""

from __future__ import annotations

COMMENT = 0
"""NFTNL_UDATA_RULE_COMMENT and NFTNL_UDATA_SET_ELEM_COMMENT."""


def field(userdata: bytes, kind: int) -> bytes | None:
    """The value of the first one of that type."""
    at = 0
    while at + 2 <= len(userdata):
        length = userdata[at + 1]
        if userdata[at] == kind:
            return userdata[at + 2 : at + 2 + length]
        at += 2 + length
    return None


def comment(userdata: bytes) -> str | None:
    """Of a rule or an element; it may be empty, None is none."""
    text = field(userdata, COMMENT)
    return None if text is None else text.partition(b"\0")[0].decode("utf-8", "surrogateescape")
