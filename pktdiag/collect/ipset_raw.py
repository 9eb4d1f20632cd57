"""ipsets, undecoded (net/netfilter/ipset/ip_set_core.c). Payloads: struct nfgenmsg, then IPSET_ATTR_*."""

from __future__ import annotations

import errno

from pktdiag.collect.netlink import Netlink, attribute, attributes, nested, text, text_attribute

_SUBSYSTEM = 6 << 8
LIST, TEST, GET_BYINDEX = _SUBSYSTEM | 7, _SUBSYSTEM | 11, _SUBSYSTEM | 15
IPSET_ATTR_PROTOCOL, IPSET_ATTR_SETNAME, IPSET_ATTR_FLAGS, IPSET_ATTR_DATA, IPSET_ATTR_INDEX = 1, 2, 6, 7, 11
IPSET_FLAG_LIST_HEADER = 1 << 2
IPSET_PROTOCOL = 7
"""Since Linux 4.19 (GET_BYINDEX needs it); the kernel answers whom it can from IPSET_PROTOCOL_MIN 6 on."""
IPSET_ERR_EXIST = 4103
_NFGENMSG = bytes((2, 0, 0, 0))  # NFPROTO_IPV4, as libipset sends it; nothing depends on it
_PROTOCOL = attribute(IPSET_ATTR_PROTOCOL, bytes((IPSET_PROTOCOL,)))


def name_of(netlink: Netlink, index: int) -> str | None:
    """The set an xt match holds by index (ip_set_byindex)."""
    try:
        # ip_set_byindex() reads the attribute with ip_set_get_h16(): network order, flagged NLA_F_NET_BYTEORDER.
        payload = netlink.get(GET_BYINDEX, _NFGENMSG + _PROTOCOL + attribute(IPSET_ATTR_INDEX | 0x4000, index.to_bytes(2, "big")))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return None
        raise
    return None if payload is None else text(attributes(payload, 4)[IPSET_ATTR_SETNAME])


def header(netlink: Netlink, name_or_index: str | int) -> bytes | None:
    """IPSET_CMD_LIST of one set without members: type, family, revision, creation options. None: no such set."""
    name = name_of(netlink, name_or_index) if isinstance(name_or_index, int) else name_or_index
    if name is None:
        return None
    payloads = _list(netlink, name, IPSET_FLAG_LIST_HEADER)
    return payloads[0] if payloads else None


def members(netlink: Netlink, name: str) -> tuple[bytes, ...]:
    """IPSET_CMD_LIST of one set with its members."""
    return tuple(_list(netlink, name, 0))


def _list(netlink: Netlink, name: str, flags: int) -> list[bytes]:
    body = _NFGENMSG + _PROTOCOL + text_attribute(IPSET_ATTR_SETNAME, name)
    if flags:
        body += attribute(IPSET_ATTR_FLAGS | 0x4000, flags.to_bytes(4, "big"))
    try:
        return netlink.dump(LIST, body)
    except OSError as error:
        if error.errno == errno.ENOENT:  # ip_set_dump_start()
            return []
        raise


def test(netlink: Netlink, name: str, request: bytes) -> bool:
    """Whether the element described by ``request`` (the content of IPSET_ATTR_DATA) is in the set: ip_set_utest().

    The kernel answers a request it acknowledges with success, one for an element that is not there with
    IPSET_ERR_EXIST.
    """
    try:
        netlink.get(TEST, _NFGENMSG + _PROTOCOL + text_attribute(IPSET_ATTR_SETNAME, name) + nested(IPSET_ATTR_DATA, request))
    except OSError as error:
        if error.errno == IPSET_ERR_EXIST:
            return False
        raise
    return True
