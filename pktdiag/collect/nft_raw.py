"""nf_tables as the kernel holds it, undecoded: NFT_MSG_GET* (net/netfilter/nf_tables_api.c).

Every payload is struct nfgenmsg (4 bytes) followed by attributes. Dumps are filtered by the kernel: nf_tables_dump_rules
by table and chain, nf_tables_dump_set by set. A dump the ruleset changed under is asked again (nl_dump_check_consistent).
"""

from __future__ import annotations

import errno

from pktdiag.collect.long_dump import LongDump, begin
from pktdiag.collect.netlink import DONE, Netlink, attribute, attributes, be, nested, text_attribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pktdiag.collect.nsenter import Door
    from pktdiag.model.view import Unreadable

_SUBSYSTEM = 10 << 8
(GETTABLE, GETCHAIN, GETRULE, GETSET, GETSETELEM, GETGEN, GETOBJ, GETFLOWTABLE) = (
    _SUBSYSTEM | message for message in (1, 4, 7, 10, 13, 16, 19, 23))
NFTA_SET_FLAGS, NFT_SET_INTERVAL, NFT_SET_CONCAT = 3, 4, 0x80
NFT_SET_ELEM_INTERVAL_END, NFT_SET_ELEM_CATCHALL = 1, 2
_NOT_THERE = (errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


def nfgenmsg(family: int) -> bytes:
    """struct nfgenmsg: family, version 0, res_id 0."""
    return bytes((family, 0, 0, 0))


def generation(netlink: Netlink) -> int | None:
    """NFTA_GEN_ID; None where nf_tables is not in the kernel (nfnetlink_rcv_msg: EINVAL without the subsystem)."""
    try:
        payload = netlink.get(GETGEN, nfgenmsg(0))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return None
        raise
    return None if payload is None else be(attributes(payload, 4)[1])


def _dump(netlink: Netlink, message: int, family: int, attrs: bytes = b"") -> tuple[bytes, ...]:
    """A dump; empty where the kernel has no such family or the table is gone."""
    try:
        payloads = netlink.dump(message, nfgenmsg(family) + attrs)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return ()
        raise
    return tuple(payloads)


def tables(netlink: Netlink) -> tuple[bytes, ...]:
    return _dump(netlink, GETTABLE, 0)


def chains(netlink: Netlink, family: int) -> tuple[bytes, ...]:
    return _dump(netlink, GETCHAIN, family)


def rules(door: Door, family: int, table: str, chain: str, unreadable: Callable[[OSError], Unreadable]) -> Sequence[bytes]:
    """The rules of a chain; of a long one those behind the first few dozen are read when somebody asks for them."""
    attrs = text_attribute(1, table) + text_attribute(2, chain)
    netlink = door.netfilter()
    try:
        sequence, ready, state = begin(netlink, GETRULE, nfgenmsg(family) + attrs)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return ()
        raise
    if state == DONE:
        return tuple(ready)
    if state:  # it changed already
        if not state & DONE:
            door.give_netfilter()
            netlink.close()
        return _dump(door.netfilter(), GETRULE, family, attrs)
    door.give_netfilter()
    return LongDump(netlink, sequence, ready, lambda: _dump(door.netfilter(), GETRULE, family, attrs), unreadable)


def objects(netlink: Netlink, family: int, table: str) -> tuple[bytes, ...]:
    return _dump(netlink, GETOBJ, family, text_attribute(1, table))


def flowtables(netlink: Netlink, family: int) -> tuple[bytes, ...]:
    return _dump(netlink, GETFLOWTABLE, family)


def set_(netlink: Netlink, family: int, table: str, name: str) -> bytes | None:
    """One set or map; None where there is none of that name."""
    try:
        return netlink.get(GETSET, nfgenmsg(family) + text_attribute(1, table) + text_attribute(2, name))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def set_elements(netlink: Netlink, family: int, table: str, name: str) -> tuple[bytes, ...]:
    return _dump(netlink, GETSETELEM, family, text_attribute(1, table) + text_attribute(2, name))


def set_get(netlink: Netlink, family: int, table: str, name: str, key: bytes, key_end: bytes | None,
            interval: bool) -> tuple[bytes, ...] | None:
    """The element holding ``key``, or None. An empty key asks for the catch-all element (nft_setelem_catchall_get).

    An rbtree set keeps the two ends of an interval as two elements, and each is asked for by itself
    (nft_rbtree_get with and without NFT_SET_ELEM_INTERVAL_END); the last interval of an address space has no end.
    """
    found = []
    if not key:
        asked: tuple[int, ...] = (NFT_SET_ELEM_CATCHALL,)
    else:
        asked = (0, NFT_SET_ELEM_INTERVAL_END) if interval and key_end is None else (0,)
    for flags in asked:
        parts = [nested(1, attribute(1, key))] if key else []  # NFTA_SET_ELEM_KEY { NFTA_DATA_VALUE }
        if key_end is not None:
            parts.append(nested(10, attribute(1, key_end)))  # NFTA_SET_ELEM_KEY_END
        if flags:
            parts.append(attribute(3, flags.to_bytes(4, "big")))  # NFTA_SET_ELEM_FLAGS
        body = nfgenmsg(family) + text_attribute(1, table) + text_attribute(2, name) + nested(3, nested(1, *parts))
        try:
            payload = netlink.get(GETSETELEM, body)
        except OSError as error:
            if error.errno != errno.ENOENT and not (error.errno == errno.EINVAL and flags == NFT_SET_ELEM_CATCHALL):
                raise  # kernels before 5.13 know no catch-all element and call the question invalid
            if flags != NFT_SET_ELEM_INTERVAL_END:
                return None
            continue
        if payload is not None:
            found.append(payload)
    return tuple(found) or None


def is_interval(header: bytes) -> bool:
    """Whether a NFT_MSG_NEWSET payload describes a set that keeps its intervals as two elements each: not one of
    concatenated intervals (pipapo), whose elements carry both ends."""
    flags = be(attributes(header, 4).get(NFTA_SET_FLAGS, b""))
    return flags & (NFT_SET_INTERVAL | NFT_SET_CONCAT) == NFT_SET_INTERVAL
