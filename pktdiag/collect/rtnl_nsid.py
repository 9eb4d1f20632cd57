"""Which namespace a namespace id means: RTM_GETNSID (net/core/net_namespace.c: rtnl_net_getid).

Ids are private to the asking namespace and the kernel translates one way only, from a namespace we hold open to its
id, so candidates are tried in batches until the wanted id comes up. Asking assigns nothing (peernet2id, not _alloc).
"""

from __future__ import annotations

import os
from struct import Struct

from pktdiag.collect.netlink import Netlink, attribute, attributes
from pktdiag.collect.nsenter import OWN_NAMESPACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pktdiag.collect.mounts import Listed

RTM_GETNSID = 90
NETNSA_NSID, NETNSA_FD = 1, 3
_S32 = Struct("=i")
FIRST_BATCH, LARGEST_BATCH = 2, 32
SOUNDINGS = 7


def ids_of(netlink: Netlink, candidates: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, int, str]]]:
    """(nsid, inode, path) of every candidate (inode, path) the asking namespace has an id for, a batch at a time.

    Batches grow: finding the next candidate may cost more than asking about it.
    """
    batch: list[tuple[int, str]] = []
    size = FIRST_BATCH
    for candidate in candidates:
        batch.append(candidate)
        if len(batch) == size:
            yield ask(netlink, batch)
            batch = []
            size = min(size * 2, LARGEST_BATCH)
    if batch:
        yield ask(netlink, batch)


def towards(netlink: Netlink, wanted: int, candidates: Listed | list[tuple[int, str]],
            everybody: bool = True) -> Iterator[list[tuple[int, int, str]]]:
    """As :func:`ids_of`, for candidates in order of age: ids are given out in ascending order (__peernet2id_alloc: the lowest
    free one), so that a few soundings lead to the neighbourhood of the wanted one, and straight to it where none has been given
    back. Where they mislead, ``everybody`` is asked. One answer costs the kernel a search through all ids of the asking namespace."""
    low, high = 0, len(candidates)
    offset = 0
    while high - low > 2 * SOUNDINGS:
        straight = wanted + offset
        near = [place for place in range(straight - 1, straight + 3) if low <= place < high]
        steps = SOUNDINGS - len(near)
        places = sorted({*near, *(low + (high - low) * step // (steps + 1) for step in range(1, steps + 1))})
        found = ask(netlink, [candidates[place] for place in places])
        yield found
        known = {path: nsid for nsid, _, path in found}
        before = low, high
        for place in places:
            nsid = known.get(candidates[place][1])
            if nsid is not None:
                offset = place - nsid
            if nsid is not None and nsid < wanted:
                low = place + 1
            elif nsid is not None:
                high = place
                break
        if (low, high) == before:
            break
    if high - low <= 2 * SOUNDINGS:
        yield ask(netlink, [candidates[place] for place in range(low, high)])
    if everybody:
        yield from ids_of(netlink, candidates)


def ask(netlink: Netlink, batch: list[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """One batch: one datagram out. Candidates that cannot be opened or have no id are left out. Inode 0: whatever is there."""
    opened: list[tuple[int, int, str]] = []
    try:
        for inode, path in batch:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)  # whatever it is by now
            except OSError:
                continue  # gone meanwhile, or not ours to open: it cannot be told apart from any other then
            there = os.fstat(fd)
            if there.st_ino == inode or (not inode and there.st_dev == os.stat(OWN_NAMESPACE).st_dev):
                opened.append((fd, there.st_ino, path))
            else:
                os.close(fd)
        answers = netlink.get_many([(RTM_GETNSID, bytes(4) + attribute(NETNSA_FD, _S32.pack(fd))) for fd, _, _ in opened])
    finally:
        for fd, _, _ in opened:
            os.close(fd)
    found = []
    for (_, inode, path), answer in zip(opened, answers):
        if isinstance(answer, bytes):
            value = attributes(answer, 4).get(NETNSA_NSID)
            nsid = _S32.unpack(value)[0] if value is not None else -1
            if nsid >= 0:  # NETNSA_NSID_NOT_ASSIGNED is -1
                found.append((nsid, inode, path))
    return found
