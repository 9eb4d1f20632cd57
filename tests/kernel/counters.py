"""Counters of one namespace, read often: SNMP and TcpExt, nft rules and policies, legacy table entries.

Read with code of its own, so that a misreading of the program under test cannot hide itself.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator

from .lab import Netns

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
NFT_GETCHAIN, NFT_GETRULE = 10 << 8 | 4, 10 << 8 | 7
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
_libc = ctypes.CDLL(None, use_errno=True)
RuleKey = tuple[str, str, str, str, str, int]
"""(namespace name, "nft" or "xt", family, table, chain, handle or 1-based index; 0 for a policy)."""


class Counters:
    """Open files and sockets that answer for one namespace."""

    def __init__(self, ns: Netns) -> None:
        self.ns = ns
        with ns.inside():
            self._files = [os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY) for name in ("snmp", "netstat", "snmp6")]
            self._nft = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
            self._raw = {"ip": socket.socket(socket.AF_INET, socket.SOCK_RAW, 255),
                         "ip6": socket.socket(socket.AF_INET6, socket.SOCK_RAW, 255)}
            self._tables: list[tuple[str, str]] = []
            for family, name in (("ip", "ip_tables_names"), ("ip6", "ip6_tables_names")):
                try:
                    with open(f"/proc/thread-self/net/{name}") as file:
                        self._tables += [(family, table) for table in file.read().split()]
                except OSError:
                    pass
        self._has_nft = bool(list(self._dump(10 << 8 | 1)))

    def close(self) -> None:
        for fd in self._files:
            os.close(fd)
        for sock in (self._nft, *self._raw.values()):
            sock.close()

    def snmp(self) -> dict[str, int]:
        """nstat's names."""
        result: dict[str, int] = {}
        for fd in self._files[:2]:
            lines = os.pread(fd, 1 << 17, 0).decode().splitlines()
            for names, values in zip(lines[::2], lines[1::2]):
                prefix, _, rest = names.partition(":")
                for name, value in zip(rest.split(), values.partition(":")[2].split()):
                    result[prefix + name] = int(value)
        for line in os.pread(self._files[2], 1 << 17, 0).decode().splitlines():
            name, value = line.split()
            result[name] = int(value)
        return result

    def rules(self) -> dict[RuleKey, int]:
        """Packets counted by every rule and policy that counts."""
        result: dict[RuleKey, int] = {}
        if self._has_nft:
            for family, attrs in self._dump(NFT_GETRULE):
                for counter in _expressions(attrs.get(4, b""), b"counter"):
                    key = (self.ns.name, "nft", family, _text(attrs[1]), _text(attrs[2]), struct.unpack(">Q", attrs[3])[0])
                    result[key] = struct.unpack(">Q", counter[2])[0]
                    break
            for family, attrs in self._dump(NFT_GETCHAIN):
                if 8 in attrs:
                    packets = dict(_attrs(attrs[8]))[2]
                    result[(self.ns.name, "nft", family, _text(attrs[1]), _text(attrs[3]), 0)] = struct.unpack(">Q", packets)[0]
        for family, table in self._tables:
            for chain, index, packets in self._legacy(family, table):
                result[(self.ns.name, "xt", family, table, chain, index)] = packets
        return result

    def every_rule(self) -> list[RuleKey]:
        """The keys of all rules, those without a counter too, in order."""
        found = list(self._rule_keys())
        for family, table in self._tables:
            found += [(self.ns.name, "xt", family, table, chain, index) for chain, index, _ in self._legacy(family, table)]
        return found

    def _rule_keys(self) -> Iterator[RuleKey]:
        for family, attrs in self._dump(NFT_GETRULE) if self._has_nft else ():
            yield self.ns.name, "nft", family, _text(attrs[1]), _text(attrs[2]), struct.unpack(">Q", attrs[3])[0]

    def _dump(self, kind: int) -> Iterator[tuple[str, dict[int, bytes]]]:
        self._nft.send(struct.pack("=IHHIIBBH", 20, kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0, 0, 0))
        while True:
            data = self._nft.recv(1 << 18)
            offset = 0
            while offset + 16 <= len(data):
                size, kind_, _, _, _ = struct.unpack_from("=IHHII", data, offset)
                if kind_ == 3:
                    return
                if kind_ == 2:
                    raise OSError(-struct.unpack_from("=i", data, offset + 16)[0], "nft dump")
                yield FAMILIES.get(data[offset + 16], "?"), dict(_attrs(data[offset + 20:offset + size]))
                offset += size + 3 & ~3

    def _legacy(self, family: str, table: str) -> Iterator[tuple[str, int, int]]:
        level = 0 if family == "ip" else 41
        info = self._getsockopt(family, level, 64, table.encode().ljust(84, b"\0"))
        hooks, size = struct.unpack_from("=5I", info, 36), struct.unpack_from("=I", info, 80)[0]
        valid, underflow = struct.unpack_from("=I", info, 32)[0], struct.unpack_from("=5I", info, 56)
        data = self._getsockopt(family, level, 65, table.encode().ljust(32, b"\0") + struct.pack("=II", size, 0) + bytes(size))[40:]
        head, counters_at = (88, 96) if family == "ip" else (140, 152)
        names = {hooks[i]: name for i, name in enumerate(("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"))
                 if valid >> i & 1}
        policies = {underflow[i] for i in range(5) if valid >> i & 1}
        chain, index, offset = "", 0, 0
        held: tuple[str, int, int] | None = None  # the last entry of a user chain is its implicit RETURN, nobody's rule
        builtin = True
        while offset < len(data):
            target, following = struct.unpack_from("=HH", data, offset + head)
            packets = struct.unpack_from("=Q", data, offset + counters_at)[0]
            name = data[offset + target + 2:offset + target + 31].split(b"\0")[0].decode()
            if offset in names:
                chain, index, held, builtin = names[offset], 0, None, True
            if name == "ERROR":
                held, builtin = None, False
                chain, index = data[offset + target + 32:offset + target + 62].split(b"\0")[0].decode(), 0
            elif offset in policies:
                yield chain, 0, packets
            else:
                index += 1
                if held:
                    yield held
                held = (chain, index, packets)
                if builtin:
                    yield held
                    held = None
            offset += following

    def _getsockopt(self, family: str, level: int, option: int, request: bytes) -> bytes:
        buffer = ctypes.create_string_buffer(request, len(request))
        length = ctypes.c_uint(len(request))
        if _libc.getsockopt(self._raw[family].fileno(), level, option, buffer, ctypes.byref(length)):
            raise OSError(ctypes.get_errno(), f"getsockopt {option}")
        return buffer.raw[:length.value]


def _attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        if size < 4:
            return
        yield kind & 0x3FFF, data[offset + 4:offset + size]
        offset += size + 3 & ~3


def _expressions(data: bytes, name: bytes) -> Iterator[dict[int, bytes]]:
    for _, element in _attrs(data):
        attrs = dict(_attrs(element))
        if attrs.get(1, b"").rstrip(b"\0") == name:
            yield dict(_attrs(attrs.get(2, b"")))


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", "replace")
