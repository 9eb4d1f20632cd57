"""In which order a bridge floods: its list of ports, newest first, which no netlink message shows.

Every port has a local forwarding entry, made when it joined, and the bridge lists its entries newest first, too
(net/bridge/br_if.c: br_add_if; br_fdb.c: fdb_create). The old read-only BRCTL_GET_FDB_ENTRIES request walks that very list
(net/bridge/br_ioctl.c: get_fdb_entries; br_fdb.c: br_fdb_fillbuf), while netlink's dump goes port by port.
"""

from __future__ import annotations

from pktdiag.collect.nsenter import Door

SIOCDEVPRIVATE, BRCTL_GET_FDB_ENTRIES = 0x89F0, 18
_ENTRY = 16  # struct __fdb_entry: mac[6], port_no, is_local, u32 ageing, port_hi, pad, u16
_ROOM = 256
_MOST = 1 << 15


def read_port_numbers(door: Door, bridge: str) -> tuple[int, ...]:
    """IFLA_BRPORT_NO of the bridge's ports, newest first; a port whose address another port has, too, may be missing.
    OSError where the kernel does not answer."""
    from _socket import AF_INET, SOCK_DGRAM, socket
    from array import array  # knows its address in memory, and costs nothing to import beside ctypes
    from fcntl import ioctl
    from struct import pack

    buffer = array("B", bytes(_ROOM * _ENTRY))
    numbers: dict[int, None] = {}
    with door.inside():
        sock = socket(AF_INET, SOCK_DGRAM)
    try:
        for skip in range(0, _MOST, _ROOM):
            arguments = array("L", (BRCTL_GET_FDB_ENTRIES, buffer.buffer_info()[0], _ROOM, skip))
            request = array("B", pack("16sP16x", bridge.encode("utf-8", "surrogateescape"), arguments.buffer_info()[0]))
            count = ioctl(sock.fileno(), SIOCDEVPRIVATE, request, True)
            for at in range(0, min(count, _ROOM) * _ENTRY, _ENTRY):
                entry = buffer[at:at + _ENTRY]
                if entry[7]:
                    numbers[entry[6] | entry[12] << 8] = None
            if count < _ROOM:
                break
    finally:
        sock.close()
    return tuple(numbers)

