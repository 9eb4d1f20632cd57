"""What the DCCP tracker of kernels up to v6.15 says of a packet: net/netfilter/nf_conntrack_proto_dccp.c (dccp_new, dccp_state_table)."""

from __future__ import annotations

from pktdiag.model.packet import Packet
from pktdiag.netfilter.context import Conn

REQUEST, RESPONSE, CLOSEREQ, CLOSE, RESET = 0, 1, 5, 6, 7
_BEGINS_NOTHING = frozenset((RESPONSE, CLOSEREQ, CLOSE, RESET))
"""Nothing begins with these; with data and acknowledgements a connection is picked up (dccp_loose)."""
_NEVER_OF_CLIENTS = frozenset((RESPONSE, CLOSEREQ))


def packet(conn: Conn, reply: bool, packet: Packet) -> str:
    """"accept" or "invalid". Only what comes first and what a client never sends is told apart; a packet whose type is not known is taken
    for one that fits."""
    if len(packet.payload) < 5 or "payload" in packet.unknown:
        return "accept"
    kind = packet.payload[4] >> 1 & 15  # the payload begins behind the ports
    if kind in (_NEVER_OF_CLIENTS if conn.confirmed else _BEGINS_NOTHING) and not reply:
        return "invalid"
    return "accept"
