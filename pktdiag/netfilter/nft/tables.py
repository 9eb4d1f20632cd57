"""Tables and chains as the kernel lists them. Decoding is cheap: 5,000 chains cost a few milliseconds.

net/netfilter/nf_tables_api.c: nf_tables_fill_table_info, nf_tables_fill_chain_info, nft_dump_basechain_hook.
"""

from __future__ import annotations

from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.wire import NFGENMSG, MalformedError, attributes, string, text, u32, u64, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE_DORMANT, TABLE_OWNER, TABLE_PERSIST = 1, 2, 4
CHAIN_BASE, CHAIN_HW_OFFLOAD, CHAIN_BINDING = 1, 2, 4
Raw = bytes
_BASE_MARKS = (b"\x07\0filter\0", b"\x07\0nat\0", b"\x07\0route\0")


class Table(NamedTuple):
    family: int
    name: str
    flags: int
    handle: int
    owner: int | None
    """Netlink port id of the owning process (NFT_TABLE_F_OWNER)."""
    userdata: bytes

    @property
    def dormant(self) -> bool:
        return bool(self.flags & TABLE_DORMANT)


class BaseChain(NamedTuple):
    """A chain attached to a hook."""

    family: int
    table: str
    name: str
    handle: int
    hook: int
    priority: int
    type: str
    """"filter", "nat" or "route"."""
    policy: int
    """NF_ACCEPT or NF_DROP."""
    devices: tuple[str, ...]
    """netdev and inet ingress/egress: the interfaces it is attached to; empty elsewhere."""
    dormant: bool
    flags: int = 0
    userdata: Raw = b""
    counter: tuple[int, int] | None = None
    """Packets and bytes that met the policy, where a counter was set up."""

    @property
    def packets(self) -> int | None:
        return self.counter[0] if self.counter else None

    @property
    def bytes(self) -> int | None:
        return self.counter[1] if self.counter else None


class Chain(NamedTuple):
    """A chain of any kind, for listing."""

    family: int
    table: str
    name: str
    handle: int
    base: BaseChain | None
    flags: int
    userdata: bytes


def decode_table(payload: bytes) -> Table:
    """Raises MalformedError."""
    attrs = attributes(payload, NFGENMSG)
    if not payload:
        raise MalformedError("empty")
    return Table(payload[0], string(attrs, 1), u32(attrs, 2, 0), u64(attrs, 4, 0), u32(attrs, 7) if 7 in attrs else None,
                 attrs.get(6, b""))


def is_base(payload: bytes) -> bool:
    """Whether a chain payload may be a base chain: only these carry NFTA_CHAIN_TYPE. Much cheaper than decoding."""
    return any(mark in payload for mark in _BASE_MARKS)


def decode_chain(payload: bytes, dormant: Sequence[str] = ()) -> Chain:
    """Raises MalformedError."""
    if not payload:
        raise MalformedError("empty")
    attrs = attributes(payload, NFGENMSG)
    table, name, handle = string(attrs, 1), string(attrs, 3), u64(attrs, 2, 0)
    base = None
    if 4 in attrs:
        hook = attributes(attrs[4])
        priority = u32(hook, 2)
        devices = [text(hook[3])] if 3 in hook else []
        if 4 in hook:
            # NFTA_DEVICE_NAME 1, NFTA_DEVICE_PREFIX 2 (v6.16)
            devices = [text(hook[4][start:end]) + ("*" if kind == 2 else "") for kind, start, end in walk(hook[4]) if kind in (1, 2)]
        counter = None
        if 8 in attrs:
            counters = attributes(attrs[8])
            counter = u64(counters, 2, 0), u64(counters, 1, 0)
        base = BaseChain(payload[0], table, name, handle, u32(hook, 1),
                         priority - 0x100000000 if priority >= 0x80000000 else priority, string(attrs, 7, "filter"),
                         u32(attrs, 5, 1), tuple(devices), table in dormant, u32(attrs, 10, 0), attrs.get(12, b""), counter)
    return Chain(payload[0], table, name, handle, base, u32(attrs, 10, 0), attrs.get(12, b""))
