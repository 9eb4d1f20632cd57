"""MPTcpExt: net/mptcp/mib.c. Few hosts use it; what matters is whether subflows fall back or are refused."""

from __future__ import annotations

from pktdiag.model.counters.kind import Counter, bad, benign, suspicious

_NAMED: dict[str, Counter] = {
    "MPJoinNoTokenFound": suspicious("joins for a connection nobody knows: it ended, or a load balancer split it"),
    "MPJoinRejected": suspicious("joins refused by the limits (ip mptcp limits)"),
    "DataCsumErr": bad("data with a wrong MPTCP checksum: a middlebox changed it"),
    "DSSCorruptionReset": bad("connections reset: a middlebox damaged MPTCP's mapping"),
    "DSSCorruptionFallback": suspicious("connections that fell back to TCP: a middlebox damaged MPTCP's mapping"),
    "Blackhole": suspicious("MPTCP switched off: something on the path eats its SYNs"),
    "MPCurrEstab": benign("MPTCP connections now", gauge=True),
}


def find(name: str) -> Counter:
    """By name without the prefix; what is not named is told apart by what its name says."""
    if name in _NAMED:
        return _NAMED[name]
    if any(word in name for word in ("Failure", "Err", "Drop", "Fallback", "Rejected", "Stale", "Mismatch", "Conflict", "Fail")):
        return suspicious("MPTCP: something was refused, dropped or fell back to TCP")
    return benign("MPTCP traffic")
