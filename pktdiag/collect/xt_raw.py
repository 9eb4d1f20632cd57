"""Legacy x_tables through getsockopt: iptables, ip6tables, arptables, ebtables.

Reading must not create a table. Since Linux 5.15 a table appears in a namespace the first time anyone asks for it by
name (net/netfilter/x_tables.c: xt_find_table_lock runs the template's table_init; ebtables.c: find_table_lock does the
same), so only tables that are there already are asked for: /proc/net/ip_tables_names lists them (xt_table_seq_ops walks
the namespace's own list).
"""

from __future__ import annotations

import _socket
import errno
from struct import Struct

from pktdiag.collect.libc import getsockopt, getsockopt_large
from pktdiag.collect.netlink import SOCK_CLOEXEC, SOCK_RAW
from pktdiag.model.kernel import AF_INET, AF_INET6, NFPROTO_ARP, NFPROTO_BRIDGE

IPPROTO_IP, IPPROTO_IPV6, IPPROTO_RAW = 0, 41, 255

# family: socket family, level, GET_INFO option (GET_ENTRIES follows it), /proc file. IPT_BASE_CTL 64, ARPT_BASE_CTL 96.
_CONTROL = {
    AF_INET: (AF_INET, IPPROTO_IP, 64, "/proc/thread-self/net/ip_tables_names"),
    AF_INET6: (AF_INET6, IPPROTO_IPV6, 64, "/proc/thread-self/net/ip6_tables_names"),
    NFPROTO_ARP: (AF_INET, IPPROTO_IP, 96, "/proc/thread-self/net/arp_tables_names"),
}
EBT_SO_GET_INFO, EBT_SO_GET_ENTRIES = 128, 129

_XT_GETINFO_SIZE = 84  # struct ipt_getinfo: name[32], valid_hooks, hook_entry[5], underflow[5], num_entries, size
_XT_ENTRIES_HEADER = 40 if Struct("@P").size == 8 else 36  # struct ipt_get_entries: name[32], size, padding
_ARP_GETINFO_SIZE = 68  # struct arpt_getinfo: three hooks instead of five; the kernel insists on the exact size
_U32 = Struct("=I")


class RawSocket:
    """A raw socket used for getsockopt only; nothing can be sent through this class."""

    def __init__(self, family: int) -> None:
        self._socket = _socket.socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def names_file(family: int) -> str | None:
    """Where the kernel lists a family's tables; None for ebtables, which has no such file."""
    control = _CONTROL.get(family)
    return control[3] if control else None


def socket_family(family: int) -> int:
    """Address family of the socket that reaches a table family."""
    return AF_INET6 if family == AF_INET6 else AF_INET


def read_table(sock: RawSocket, family: int, table: str) -> tuple[bytes, bytes]:
    """(GET_INFO reply, GET_ENTRIES reply). The table has to exist already. Read again while it is being replaced."""
    for _ in range(10):
        try:
            return _read_ebtable(sock, table) if family == NFPROTO_BRIDGE else _read_xt(sock, family, table)
        except OSError as error:
            if error.errno != errno.EAGAIN:  # get_entries(): the size is not the one GET_INFO told
                raise
    raise OSError(errno.EAGAIN, "it kept changing while it was read")


def _read_xt(sock: RawSocket, family: int, table: str) -> tuple[bytes, bytes]:
    _, level, get_info, _ = _CONTROL[family]
    name = table.encode("utf-8", "surrogateescape").ljust(32, b"\0")
    info = bytearray(name).ljust(_ARP_GETINFO_SIZE if family == NFPROTO_ARP else _XT_GETINFO_SIZE, b"\0")
    getsockopt(sock.fileno(), level, get_info, info)
    size = _U32.unpack_from(info, len(info) - 4)[0]
    entries = getsockopt_large(sock.fileno(), level, get_info + 1, name + _U32.pack(size), _XT_ENTRIES_HEADER + size)
    return bytes(info), entries


# struct ebt_replace: name[32], valid_hooks, nentries, entries_size, hook_entry[6] pointers, num_counters, *counters, *entries
_EBT_REPLACE = Struct("@32sIIIPPPPPPIPP")
_EBT_COUNTER_SIZE = 16


def _read_ebtable(sock: RawSocket, table: str) -> tuple[bytes, bytes]:
    """EBT_SO_GET_INFO is struct ebt_replace; EBT_SO_GET_ENTRIES fills the buffers it points to (copy_everything_to_user).
    The second element is the filled ebt_replace, the entries, then num_counters × struct ebt_counter (pcnt, bcnt)."""
    from pktdiag.collect.libc import address_of

    name = table.encode("utf-8", "surrogateescape")
    info = bytearray(_EBT_REPLACE.size)
    info[: len(name)] = name
    getsockopt(sock.fileno(), IPPROTO_IP, EBT_SO_GET_INFO, info)
    _, valid_hooks, nentries, entries_size, *hooks, _num, _counters, _entries = _EBT_REPLACE.unpack(info)
    entries, counters = bytearray(max(entries_size, 1)), bytearray(max(nentries * _EBT_COUNTER_SIZE, 1))
    entries_at, keep_entries = address_of(entries)
    counters_at, keep_counters = address_of(counters)
    request = bytearray(_EBT_REPLACE.pack(name, valid_hooks, nentries, entries_size, *hooks, nentries,
                                          counters_at if nentries else 0, entries_at))
    getsockopt(sock.fileno(), IPPROTO_IP, EBT_SO_GET_ENTRIES, request)
    del keep_entries, keep_counters
    return bytes(info), bytes(request) + bytes(entries[:entries_size]) + bytes(counters[: nentries * _EBT_COUNTER_SIZE])
