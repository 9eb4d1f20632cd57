"""A netlink client that can only ask.

Struct level on purpose: a general library costs more to import than a whole walk may take. Requests go through
:meth:`Netlink.send`, which refuses every message type that is not a GET and every flag that could make or change
something, so nothing above this file can modify the host by mistake.

Message framing, dump interruption and errors: net/netlink/af_netlink.c (netlink_dump, netlink_ack).
"""

from __future__ import annotations

import _socket
import errno
import os
from struct import Struct
from struct import error as struct_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC = 16, 3, 0o2000000
NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_XFRM, NETLINK_NETFILTER = 0, 4, 6, 12
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 11, 12
SOL_SOCKET, SO_RCVTIMEO = 1, 20

NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 1, 2, 4, 0x10, 0x300
NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE = 1, 2, 3
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF

_ALLOWED_FLAGS = NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP


def _nfnl(subsystem: int, *messages: int) -> tuple[int, ...]:
    return tuple(subsystem << 8 | message for message in messages)


# Reading is not enough to be harmless: NFT_MSG_GETOBJ_RESET (21), GETRULE_RESET (25), GETSETELEM_RESET (26), NFNL_MSG_ACCT_GET_CTRZERO (2)
# and IPCTNL_MSG_CT_GET_CTRZERO (3) zero counters as they read, IPSET_CMD_TYPE (13) loads modules. None of them is here.
READING: dict[int, frozenset[int]] = {
    # RTM_GET LINK, ADDR, ROUTE, NEIGH, RULE, QDISC, TCLASS, TFILTER, NETCONF, MDB, NSID, CHAIN, NEXTHOP, VLAN
    NETLINK_ROUTE: frozenset((18, 22, 26, 30, 34, 38, 42, 46, 82, 86, 90, 102, 106, 114)),
    NETLINK_SOCK_DIAG: frozenset((20,)),  # SOCK_DIAG_BY_FAMILY; SOCK_DESTROY is 21
    NETLINK_XFRM: frozenset((0x15, 0x28)),  # XFRM_MSG_GETPOLICY, XFRM_MSG_GETDEFAULT
    NETLINK_NETFILTER: frozenset(
        _nfnl(1, 1, 4, 5)  # IPCTNL_MSG_CT_GET, GET_STATS_CPU, GET_STATS
        + _nfnl(2, 1)  # IPCTNL_MSG_EXP_GET
        + _nfnl(6, 1, 7, 11, 12, 14, 15)  # IPSET_CMD_PROTOCOL, LIST, TEST, HEADER, GET_BYNAME, GET_BYINDEX
        + _nfnl(7, 1)  # NFNL_MSG_ACCT_GET
        + _nfnl(10, 1, 4, 7, 10, 13, 16, 19, 23)  # NFT_MSG_GET TABLE, CHAIN, RULE, SET, SETELEM, GEN, OBJ, FLOWTABLE
        + _nfnl(12, 0)  # NFNL_MSG_HOOK_GET
    ),
}

# Those whose doit() answers with exactly one object or an error, so that no acknowledgement need mark the end:
# rtnl_getlink, inet_rtm_getroute, neigh_get, rtnl_net_getid; inet_diag_cmd_exact; ctnetlink_get_conntrack; nf_tables_getgen,
# nf_tables_getset.
_ONE_OBJECT: dict[int, frozenset[int]] = {
    NETLINK_ROUTE: frozenset((18, 26, 30, 90)),
    NETLINK_SOCK_DIAG: frozenset((20,)),
    NETLINK_XFRM: frozenset((0x28,)),
    NETLINK_NETFILTER: frozenset(_nfnl(1, 1) + _nfnl(10, 10, 16)),
}

_HEADER = Struct("=IHHII")  # struct nlmsghdr: len, type, flags, seq, pid
_ATTRIBUTE = Struct("=HH")  # struct nlattr: len, type
_attribute_at = _ATTRIBUTE.unpack_from
_header_at = _HEADER.unpack_from
_INT = Struct("=i")
_TIMEOUT = Struct("@ll").pack(10, 0)  # struct timeval

DONE, INTERRUPTED = 1, 2  # what a piece of a dump tells of the whole

RECEIVE_SIZE = 1 << 16  # netlink_recvmsg() raises its dump chunks to at most 32 KiB once it sees more asked for


class Interrupted(OSError):  # noqa: N818
    """The kernel's tables kept changing while they were read (NLM_F_DUMP_INTR every time)."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "it kept changing while it was read")


class Unfiltered(Exception):  # noqa: N818
    """The kernel lists what was not asked for: it does not know the filter."""


Request = tuple[int, bytes]
"""One question: message type and what follows struct nlmsghdr."""


class Netlink:
    """One netlink socket of one protocol, opened in the namespace the thread is in at that moment.

    Every method raises OSError with the kernel's errno. Payloads are returned without struct nlmsghdr.
    """

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol
        self.chunk = RECEIVE_SIZE
        """Bytes to receive at a time; the kernel does not fill more of a dump in one go."""
        self._sequence = 0
        self._socket = _socket.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
        try:
            self._socket.setsockopt(SOL_SOCKET, SO_RCVTIMEO, _TIMEOUT)
            self.strict = protocol == NETLINK_ROUTE and self._try_option(NETLINK_GET_STRICT_CHK)
        except BaseException:
            self._socket.close()
            raise

    def _try_option(self, option: int) -> bool:
        """Strict checking makes rtnetlink honour dump filters (Linux 4.20); before, everything is dumped."""
        try:
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()

    def send(self, requests: list[Request], flags: int) -> int:
        """Sends requests in one datagram; returns the sequence number of the first (they count up from it)."""
        allowed = READING[self.protocol]
        first = self._sequence + 1
        parts = []
        for kind, body in requests:
            if kind not in allowed or flags & ~_ALLOWED_FLAGS:
                raise AssertionError(f"netlink message type {kind} flags {flags:#x} is not a reading one")
            self._sequence += 1
            parts.append(_HEADER.pack(16 + len(body), kind, flags, self._sequence, 0))
            parts.append(body + b"\0" * (-len(body) & 3))
        self._socket.send(b"".join(parts))  # to the kernel, as any socket that is not connected (netlink_sendmsg)
        return first

    def _receive(self) -> bytes:
        chunk = self._socket.recv(self.chunk)
        if len(chunk) == self.chunk:  # cut off: what followed is lost
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return chunk

    def dump(self, type_: int, body: bytes, attempts: int = 10, fits: Callable[[bytes], bool] | None = None) -> list[bytes]:
        """All objects of a dump, in the kernel's order; asked again while the kernel says it changed meanwhile. At the first object
        that does not fit: Unfiltered, and the socket is of no more use than to be closed."""
        for _ in range(attempts):
            sequence = self.begin(type_, body)
            found: list[bytes] = []
            state = 0
            while not state & DONE:
                state |= self.part(sequence, found, fits)
            if not state & INTERRUPTED:
                return found
        raise Interrupted

    def begin(self, type_: int, body: bytes) -> int:
        """Asks for a dump that is read with :meth:`part`; nothing else may be asked of this socket until its end."""
        return self.send([(type_, body)], NLM_F_REQUEST | NLM_F_DUMP)

    def part(self, sequence: int, found: list[bytes], fits: Callable[[bytes], bool] | None = None) -> int:
        """Adds the objects that the kernel hands over in one piece to ``found``; the answer is made of DONE and INTERRUPTED."""
        try:
            chunk = self._receive()
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # netlink_overrun(): something was lost
                return INTERRUPTED
            raise
        state = offset = 0
        end = len(chunk)
        while offset + 16 <= end:
            length, kind, flags, number, _pid = _header_at(chunk, offset)
            if number == sequence:
                if flags & NLM_F_DUMP_INTR:
                    state = INTERRUPTED
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    status = _INT.unpack_from(chunk, offset + 16)[0] if length >= 20 else 0
                    if status < 0:
                        raise OSError(-status, _strerror(-status))
                    return state | DONE
                if kind != NLMSG_NOOP:
                    found.append(chunk[offset + 16 : offset + length])
                    if fits is not None and not fits(found[-1]):
                        raise Unfiltered
                    # Thousands of objects often have the same length, and with it the same header.
                    header, step = chunk[offset : offset + 16], (length + 3) & ~3
                    while fits is None and chunk.startswith(header, offset + step) and offset + step + length <= end:
                        offset += step
                        found.append(chunk[offset + 16 : offset + length])
            offset += (length + 3) & ~3
        return state

    def get(self, type_: int, body: bytes) -> bytes | None:
        """The one object asked for, or None where the kernel acknowledges without an object."""
        answer = self.get_many([(type_, body)])[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def get_many(self, requests: list[Request]) -> list[bytes | OSError | None]:
        """One answer per request, in order; an error stands in its place instead of being raised.

        Where more than one object may come, or none, an acknowledgement is asked for too, which marks the end.
        """
        if not requests:
            return []
        answers: list[bytes | OSError | None] = [None] * len(requests)
        one_each = _ONE_OBJECT[self.protocol].issuperset([kind for kind, _ in requests])
        first = self.send(requests, NLM_F_REQUEST if one_each else NLM_F_REQUEST | NLM_F_ACK)
        left = len(requests)
        while left:
            chunk = self._receive()
            offset, end = 0, len(chunk)
            while offset + 16 <= end:
                length, kind, _flags, number, _pid = _header_at(chunk, offset)
                index = number - first
                if 0 <= index < len(requests):
                    if kind == NLMSG_ERROR:
                        left -= 1
                        status = _INT.unpack_from(chunk, offset + 16)[0]
                        if status < 0:
                            answers[index] = OSError(-status, _strerror(-status))
                    elif kind != NLMSG_NOOP:
                        answers[index] = chunk[offset + 16 : offset + length]
                        left -= one_each
                offset += (length + 3) & ~3
        return answers


def _strerror(number: int) -> str:
    return os.strerror(number) if number < 4096 else f"private error {number}"  # ipset numbers its own from 4096


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from ``offset`` to the end of ``data``, by type (flags removed); the last of a repeated type wins."""
    found = {}
    end = len(data) - 3
    try:
        while offset < end:
            length, kind = _attribute_at(data, offset)
            if length < 4:
                break
            found[kind & 0x3FFF] = data[offset + 4 : offset + length]
            offset += (length + 3) & ~3
    except struct_error:
        pass
    return found


def first_of(kind: int, data: bytes, offset: int) -> bytes | None:
    """The first attribute of one type from ``offset`` on, without looking further."""
    end = len(data) - 3
    while offset < end:
        length, found = _attribute_at(data, offset)
        if found & 0x3FFF == kind:
            return data[offset + 4 : offset + length]
        if length < 4:
            break
        offset += (length + 3) & ~3
    return None


def attribute_list(data: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
    """As :func:`attributes`, for lists in which a type repeats."""
    found = []
    end = len(data) - 3
    while offset < end:
        length, kind = _attribute_at(data, offset)
        if length < 4:
            break
        found.append((kind & 0x3FFF, data[offset + 4 : offset + length]))
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One encoded attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + b"\0" * (-len(value) & 3)


def nested(kind: int, *parts: bytes) -> bytes:
    """One attribute holding others."""
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def text_attribute(kind: int, text: str) -> bytes:
    """A NUL-terminated string attribute. surrogateescape: interface names are any bytes."""
    return attribute(kind, text.encode("utf-8", "surrogateescape") + b"\0")


_u16 = Struct("=H").unpack_from
_u32 = Struct("=I").unpack_from


def u16(data: bytes) -> int:
    """Host byte order, as rtnetlink mostly has it."""
    value: int = _u16(data)[0]
    return value


def u32(data: bytes) -> int:
    """Host byte order."""
    value: int = _u32(data)[0]
    return value


def be(data: bytes) -> int:
    """Network byte order, any width, as nfnetlink has it."""
    return int.from_bytes(data, "big")


def text(data: bytes) -> str:
    """A string attribute without its NUL."""
    return data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
