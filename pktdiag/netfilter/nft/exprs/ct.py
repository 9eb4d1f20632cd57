"""ct: what conntrack says of the packet's connection, and changing it. net/netfilter/nft_ct.c"""

from __future__ import annotations

import sys

from pktdiag.model.host import ConntrackTuple
from pktdiag.model.record import NamedTuple
from pktdiag.netfilter.context import IPS_TEMPLATE, Conn, CtState, CtTemplate, Unknown, attached
from pktdiag.netfilter.nft.exprs import Outcome
from pktdiag.netfilter.nft.registers import Doubt, Registers, Var
from pktdiag.netfilter.nft.run import Run
from pktdiag.netfilter.nft.verdict import BREAK
from pktdiag.netfilter.nft.wire import register, u8, u32

(STATE, DIRECTION, STATUS, MARK, SECMARK, EXPIRATION, HELPER, L3PROTOCOL, SRC, DST, PROTOCOL, PROTO_SRC, PROTO_DST, LABELS,
 PKTS, BYTES, AVGPKT, ZONE, EVENTMASK, SRC_IP, DST_IP, SRC_IP6, DST_IP6, ID) = range(24)

INVALID_BIT, ESTABLISHED_BIT, RELATED_BIT, NEW_BIT, UNTRACKED_BIT = 1, 2, 4, 8, 64
ORIGINAL, REPLY, BOTH = 0, 1, 2
TEMPLATE = Doubt(Unknown("this kernel shows rules what conntrack has yet to look at, as kernels before mid-2026 do"), "ct template")


def state_bit(ctinfo: int | None, tracked: bool) -> int:
    """NF_CT_STATE_BIT: 1 << (ctinfo % 3 + 1), so both directions share a bit; without a connection untracked or invalid.

    include/uapi/linux/netfilter/nf_conntrack_common.h
    """
    if ctinfo == CtState.UNTRACKED:
        return UNTRACKED_BIT
    if not tracked or ctinfo is None or ctinfo == CtState.INVALID:
        return INVALID_BIT
    return 1 << ctinfo % 3 + 1


class CtGet(NamedTuple):
    key: int
    direction: int
    dreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_ct_get_eval. What is attached between ``ct zone set`` and conntrack had values up to 2026, and has none since ("netfilter:
        nft_ct: ignore templates", in stable kernels too): nothing but trying tells."""
        conn, ctinfo = attached(run.skb)
        if self.key == STATE:
            regs.store(self.dreg, state_bit(ctinfo, conn is not None).to_bytes(4, sys.byteorder))
            return None
        if conn is None or ctinfo in (CtState.INVALID, CtState.UNTRACKED):
            return BREAK
        value = _value(run, self.key, self.direction, conn, ctinfo or 0)
        if value is None:
            return BREAK
        if isinstance(value, bytes):
            regs.store(self.dreg, value)
        else:
            regs.store_unknown(self.dreg, *value)
        return TEMPLATE if conn.status & IPS_TEMPLATE else None

    def acts(self) -> bool:
        return False


def _word(number: int, size: int = 4) -> bytes:
    return number.to_bytes(size, sys.byteorder)


def _value(run: Run, key: int, direction: int, conn: Conn, ctinfo: int) -> bytes | tuple[int, Var] | None:
    v4 = len(conn.orig.src) == 4
    if key == DIRECTION:
        return bytes((REPLY if ctinfo >= 3 else ORIGINAL,))
    if key == STATUS:
        return _word(conn.status)
    if key == MARK:
        return _word(conn.mark & 0xFFFFFFFF)
    if key == SECMARK:
        return _word(0)
    if key == EXPIRATION:
        if conn.entry is not None and conn.entry.timeout is not None and "walked" not in conn.extra:
            return _word(conn.entry.timeout * 1000)
        return 4, Var("the connection's remaining lifetime", "ct expiration")
    if key == HELPER:
        # the helper of the master connection, not of this one
        helper = conn.master.helper if conn.master else None
        return helper.encode()[:16].ljust(16, b"\0") if helper else None
    if key == L3PROTOCOL:
        return bytes((2 if v4 else 10,))
    if key == PROTOCOL:
        return bytes((conn.orig.proto,))
    if key == LABELS:
        return (conn.labels or b"").ljust(16, b"\0")[:16]
    if key == ZONE:
        template = conn.extra.get("zone")
        one_way = isinstance(template, CtTemplate) and direction != BOTH
        return _word(template.zone_of(direction == REPLY) if one_way else conn.zone, 2)  # type: ignore[attr-defined]
    if key == ID:
        return 4, Var("the connection's id", "ct id")
    if key in (PKTS, BYTES, AVGPKT):
        return _accounting(run, key, direction, conn)
    return _tuple_value(key, conn.reply if direction == REPLY else conn.orig, v4)


def _tuple_value(key: int, side: ConntrackTuple, v4: bool) -> bytes | None:
    if key == SRC:
        return side.src
    if key == DST:
        return side.dst
    if key == PROTO_SRC:
        return side.sport.to_bytes(2, "big")
    if key == PROTO_DST:
        return side.dport.to_bytes(2, "big")
    if key in (SRC_IP, DST_IP):
        return (side.src if key == SRC_IP else side.dst) if v4 else None
    if key in (SRC_IP6, DST_IP6):
        return (side.src if key == SRC_IP6 else side.dst) if not v4 else None
    return None


def _accounting(run: Run, key: int, direction: int, conn: Conn) -> bytes | tuple[int, Var]:
    """Without the accounting extension all is zero."""
    from pktdiag.conntrack.accounting import counts, of_direction

    counted = counts(run.ns, conn)
    if counted is None:
        return 8, Var("the packets and bytes counted on the connection so far", ("ct acct", key, direction))
    packets, octets = of_direction(counted or (0, 0, 0, 0), direction)
    if key == AVGPKT:
        return _word(octets // packets if packets else 0, 8)
    return _word(packets if key == PKTS else octets, 8)


class CtSet(NamedTuple):
    key: int
    direction: int
    sreg: int

    def evaluate(self, regs: Registers, run: Run) -> Outcome:
        """nft_ct_set_eval, nft_ct_set_zone_eval."""
        skb = run.skb
        if self.key == ZONE:
            if skb.ct is None and skb.extra.get("ct_template") is None:
                zone = int.from_bytes(regs.load(self.sreg, 2), sys.byteorder)
                skb.extra["ct_template"] = CtTemplate(zone, {ORIGINAL: 1, REPLY: 2}.get(self.direction, 3))
                skb.ct_state = None
            return None
        conn = skb.ct
        if conn is None:
            return None
        if self.key == MARK:
            conn.mark = int.from_bytes(regs.load(self.sreg, 4), sys.byteorder)
        elif self.key == LABELS:
            conn.labels = regs.load(self.sreg, 16)
        return None

    def acts(self) -> bool:
        return True


def decode(attrs: dict[int, bytes]) -> CtGet | CtSet:
    key, direction = u32(attrs, 2), u8(attrs, 3, BOTH)
    if 4 in attrs:
        return CtSet(key, direction, register(attrs, 4))
    return CtGet(key, direction, register(attrs, 1))
