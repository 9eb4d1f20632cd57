"""Tcp: the counters of RFC 4022. net/ipv4/tcp*.c."""

from __future__ import annotations

from pktdiag.model.counters.kind import Counter, bad, benign, suspicious

TABLE: dict[str, Counter] = {
    "RtoAlgorithm": benign("how the retransmission timer is computed", gauge=True),
    "RtoMin": benign("shortest retransmission timer, milliseconds", gauge=True),
    "RtoMax": benign("longest retransmission timer, milliseconds", gauge=True),
    "MaxConn": benign("no limit on connections (-1)", gauge=True),
    "ActiveOpens": benign("connections opened from here"), "PassiveOpens": benign("connections accepted here"),
    "AttemptFails": suspicious("connection attempts that failed: refused, or given up before they were established",
                               "look for a port nobody listens on (theirs or ours)"),
    "EstabResets": suspicious("established connections that ended by a reset or in a hurry",
                              "normal for some programs; with TCPAbortOnData a program closes without reading"),
    "CurrEstab": benign("connections established now", gauge=True),
    "InSegs": benign("segments received"), "OutSegs": benign("segments sent"),
    "RetransSegs": suspicious("segments sent again: something was lost on the way, there or back",
                              "above 1 % of OutSegs look for loss: `ss -ti` shows which connections"),
    "InErrs": bad("segments with a wrong checksum or a broken header", "look for defective hardware or a driver's offload"),
    "InCsumErrors": bad("segments with a wrong checksum", "look for defective hardware, a driver's offload, or a tunnel that breaks them"),
    "OutRsts": suspicious("resets sent: nobody listens on the port, or a program closed with data unread",
                          "compare with the listeners (ss -ltn); `pktdiag why-dropped SRC DST:PORT/tcp`"),
}
