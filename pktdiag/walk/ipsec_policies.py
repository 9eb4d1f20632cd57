"""IPsec policies as the kernel holds them, and which one it takes for a packet.

Sources: net/xfrm/xfrm_policy.c (xfrm_policy_lookup_bytype, xfrm_policy_match, __xfrm4_selector_match, __xfrm6_selector_match),
include/uapi/linux/xfrm.h (struct xfrm_userpolicy_info, struct xfrm_selector), net/xfrm/xfrm_user.c (dump_one_policy).
"""

from __future__ import annotations

from struct import Struct

from pktdiag.model.kernel import AF_INET, PORT_PROTOS
from pktdiag.model.packet import Packet, format_address, in_prefix
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.nft.wire import attributes

IN, OUT, FORWARD = 0, 1, 2
NAMES = ("in", "out", "fwd")
ALLOW, BLOCK = 0, 1
_U32, _PAIR = Struct("=I"), Struct("=II")
_SELECTOR = Struct("=16s16s2s2s2s2sHBBB3xII")
_AT, _LENGTH = 152, 168
"""Where the priority stands in struct xfrm_userpolicy_info, behind selector and lifetimes; the index, direction and action follow. And
its length."""
XFRMA_TMPL, XFRMA_POLICY_TYPE, XFRMA_MARK, XFRMA_IF_ID = 5, 16, 21, 31


class Policy(NamedTuple):
    """One XFRM_MSG_NEWPOLICY."""

    direction: int
    """IN, OUT, FORWARD; above: a socket's own."""
    action: int
    priority: int
    number: int
    """By which the kernel knows it; unique in its namespace."""
    family: int
    src: tuple[bytes, int]
    """Address and prefix length."""
    dst: tuple[bytes, int]
    proto: int
    """0: any."""
    sport: tuple[int, int]
    """Port and mask, host order."""
    dport: tuple[int, int]
    ifindex: int
    mark: tuple[int, int]
    """Value and mask."""
    templates: bool
    """Whether it asks for transformations."""
    sub: bool
    """XFRM_POLICY_TYPE_SUB: looked up beside the others."""
    if_id: int
    """Not 0: only for packets of an xfrm interface with that id."""

    def text(self) -> str:
        action = "block" if self.action == BLOCK else "allow"
        return (f"dir {NAMES[self.direction]} action {action} priority {self.priority} src {format_address(self.src[0])}/{self.src[1]} "
                f"dst {format_address(self.dst[0])}/{self.dst[1]} (ip xfrm policy)")

    def selects(self, packet: Packet, mark: int) -> bool | None:
        """xfrm_policy_match(); None where what it looks at is not known."""
        if self.if_id or mark & self.mark[1] != self.mark[0] or self.proto not in (0, packet.proto) \
                or not _within(packet.src, self.src) or not _within(packet.dst, self.dst):
            return False
        if self.ifindex:
            return None
        if self.sport[1] or self.dport[1]:
            if packet.proto not in PORT_PROTOS or packet.fragment_offset or packet.unknown.intersection(("sport", "dport")):
                return None
            return not ((packet.sport ^ self.sport[0]) & self.sport[1] or (packet.dport ^ self.dport[0]) & self.dport[1])
        return True


def _within(address: bytes, prefix: tuple[bytes, int]) -> bool:
    return not prefix[1] or in_prefix(address, *prefix)


def decode(payload: bytes) -> Policy:
    """Raises struct.error for one that is cut off."""
    dst, src, dport, dmask, sport, smask, family, dst_length, src_length, proto, ifindex, _uid = _SELECTOR.unpack_from(payload)
    size = 4 if family == AF_INET else 16
    priority, number = _PAIR.unpack_from(payload, _AT)
    direction, action = payload[_AT + 8], payload[_AT + 9]
    found = attributes(payload, _LENGTH)
    mark = _PAIR.unpack_from(found.get(XFRMA_MARK, bytes(8)))
    ports = tuple((int.from_bytes(port, "big"), int.from_bytes(mask, "big")) for port, mask in ((sport, smask), (dport, dmask)))
    return Policy(direction, action, priority, number, family, (src[:size], src_length), (dst[:size], dst_length), proto,
                  ports[0], ports[1], ifindex, (mark[0], mark[1]), XFRMA_TMPL in found, bool(found.get(XFRMA_POLICY_TYPE, b"\0")[0]),
                  _U32.unpack_from(found.get(XFRMA_IF_ID, bytes(4)))[0])


def of_direction(payloads: tuple[bytes, ...], direction: int, family: int) -> list[Policy]:
    """In the order in which the kernel prefers them: the lowest priority first, of equal ones the oldest. A dump begins with the
    newest (xfrm_policy_insert, list_add)."""
    found = [policy for policy in map(decode, reversed(payloads)) if policy.direction == direction and policy.family == family]
    return sorted(found, key=lambda policy: policy.priority)
