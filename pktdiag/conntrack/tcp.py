"""TCP as conntrack follows it.

Source: net/netfilter/nf_conntrack_proto_tcp.c (tcp_conntracks, tcp_valid_flags, tcp_new, nf_conntrack_tcp_packet).
Sequence numbers are not known to a walk: a segment of a known connection is taken to be inside the window, as a segment
that the real peers send would be (tcp_in_window is not modelled; README "what cannot be known").
"""

from __future__ import annotations

from pktdiag.conntrack.status import IPS_ASSURED, IPS_SEEN_REPLY
from pktdiag.conntrack.table import kill
from pktdiag.model.kernel import TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, TCP_URG
from pktdiag.netfilter.context import Conn, HookContext, Unknown

(NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2) = range(10)
STATE_NAMES = ("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
               "CLOSE", "SYN_SENT2")
INVALID_STATE, IGNORE = 10, 11

IDX_SYN, IDX_SYNACK, IDX_FIN, IDX_ACK, IDX_RST, IDX_NONE = range(6)

RESET_BEFORE = Unknown("the closed connection ended with a reset from the same side: then a SYN opens it anew, else it goes past it")
CLOSE_INIT = 0x04
"""IP_CT_TCP_FLAG_CLOSE_INIT: this side sent the first FIN."""

_VALID_FLAGS = frozenset((
    TCP_SYN, TCP_SYN | TCP_URG, TCP_SYN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK,
    TCP_FIN | TCP_ACK | TCP_URG, TCP_ACK, TCP_ACK | TCP_URG,
))

_iv, _ig = INVALID_STATE, IGNORE
_RST_ROW = (_iv, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE, CLOSE)
_NONE_ROW = (_iv,) * 10
_FIN_ROW = (_iv, _iv, FIN_WAIT, FIN_WAIT, LAST_ACK, LAST_ACK, LAST_ACK, TIME_WAIT, CLOSE, _iv)
_ORIGINAL = (
    (SYN_SENT, SYN_SENT, _ig, _ig, _ig, _ig, _ig, SYN_SENT, SYN_SENT, SYN_SENT2),
    (_iv, _iv, SYN_RECV, _iv, _iv, _iv, _iv, _iv, _iv, SYN_RECV),
    _FIN_ROW,
    (ESTABLISHED, _iv, ESTABLISHED, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT, TIME_WAIT, TIME_WAIT, CLOSE, _iv),
    _RST_ROW, _NONE_ROW,
)
_REPLY = (
    (_iv, SYN_SENT2, _iv, _iv, _iv, _iv, _iv, SYN_SENT, _iv, SYN_SENT2),
    (_iv, SYN_RECV, _ig, _ig, _ig, _ig, _ig, _ig, _ig, SYN_RECV),
    _FIN_ROW,
    (_iv, _ig, SYN_RECV, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT, TIME_WAIT, TIME_WAIT, CLOSE, _ig),
    _RST_ROW, _NONE_ROW,
)


def flag_index(flags: int) -> int:
    """get_conntrack_index()"""
    if flags & TCP_RST:
        return IDX_RST
    if flags & TCP_SYN:
        return IDX_SYNACK if flags & TCP_ACK else IDX_SYN
    if flags & TCP_FIN:
        return IDX_FIN
    return IDX_ACK if flags & TCP_ACK else IDX_NONE


class TcpMemory:
    """The part of struct ip_ct_tcp that decides something here."""

    __slots__ = ("close_init", "last_dir", "last_index")

    def __init__(self, close_init: bool) -> None:
        self.last_dir: bool | None = None
        self.last_index = IDX_NONE
        self.close_init = close_init


def _memory(conn: Conn) -> TcpMemory:
    memory = conn.extra.get("tcp")
    if not isinstance(memory, TcpMemory):
        entry = conn.entry
        memory = TcpMemory(bool(entry and (entry.tcp_flags_orig | entry.tcp_flags_reply) & CLOSE_INIT))
        conn.extra["tcp"] = memory
    return memory


def packet(ctx: HookContext, conn: Conn, reply: bool, flags: int) -> str:
    """nf_conntrack_tcp_packet(): "accept", "ignored" (let through and not counted), "invalid" or "repeat" (the old connection is
    gone: look again)."""
    if flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG) not in _VALID_FLAGS:
        return "invalid"
    index = flag_index(flags)
    if not conn.confirmed:
        state = _ORIGINAL[index][NONE]
        if state >= INVALID_STATE:
            return "invalid"
        if state != SYN_SENT and ctx.ns.sysctl("net/netfilter/nf_conntrack_tcp_loose") == "0":
            return "invalid"
        conn.tcp_state = NONE
    memory = _memory(conn)
    old = conn.tcp_state or NONE
    new = (_REPLY if reply else _ORIGINAL)[index][old]
    if new == SYN_SENT and old >= TIME_WAIT:
        if _past_unknown(conn, memory):
            reset = memory.close_init or ctx.services.decide(RESET_BEFORE, ("reset before", ctx.ns.id, conn.orig))
        else:
            reset = memory.close_init or (memory.last_dir == reply and memory.last_index == IDX_RST)
        if reset:
            kill(conn)
            return "repeat"
        new = IGNORE
    if new == IGNORE:
        if index == IDX_SYNACK and memory.last_index == IDX_SYN and memory.last_dir == (not reply):
            # The SYN it answers was let through although ignored: both ends are in step, we were not.
            new = SYN_RECV
        else:
            memory.last_index, memory.last_dir = index, reply
            return "ignored"
    if new == INVALID_STATE:
        return "invalid"
    if new == SYN_SENT2:
        conn.extra["simultaneous-open"] = True
    elif new == SYN_RECV and reply and index == IDX_ACK and conn.extra.get("simultaneous-open"):
        new = ESTABLISHED
    memory.last_index, memory.last_dir = index, reply
    conn.tcp_state = new
    if new == FIN_WAIT and old != new:
        memory.close_init = True
    if not conn.status & IPS_SEEN_REPLY:
        if flags & TCP_RST:
            kill(conn)
        elif index == IDX_SYN and old == SYN_SENT:
            return "ignored"  # a SYN sent again renews no timeout, and so moves no counter: 6.3, and the stable kernels of its time
    elif not conn.status & IPS_ASSURED and old in (SYN_RECV, ESTABLISHED) and new == ESTABLISHED:
        conn.status |= IPS_ASSURED
    return "accept"


def _past_unknown(conn: Conn, memory: TcpMemory) -> bool:
    """An entry read from the kernel in CLOSE: a reset put it there, of this side or the other one, or a REJECT here whose own reset
    conntrack never sees (nf_ct_set_closing); ctnetlink does not tell."""
    return conn.entry is not None and memory.last_dir is None and conn.tcp_state == CLOSE
