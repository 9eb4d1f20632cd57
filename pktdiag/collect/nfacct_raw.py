"""Accounting objects of xt_nfacct, one at a time (net/netfilter/nfnetlink_acct.c: nfnl_acct_get, nfnl_acct_fill_info)."""

from __future__ import annotations

import errno

from pktdiag.collect.netlink import Netlink, attributes, text_attribute
from pktdiag.model.host import AccountingObject

GET = 7 << 8 | 1
NFACCT_NAME, NFACCT_PKTS, NFACCT_BYTES, NFACCT_FLAGS, NFACCT_QUOTA = 1, 2, 3, 5, 6
NFACCT_F_QUOTA_PKTS, NFACCT_F_QUOTA_BYTES = 1, 2
_NFGENMSG = bytes(4)


def read(netlink: Netlink, name: str) -> AccountingObject | None:
    """None: there is no such object."""
    try:
        payload = netlink.get(GET, _NFGENMSG + text_attribute(NFACCT_NAME, name))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    if payload is None:
        return None
    found = {kind: int.from_bytes(value, "big") for kind, value in attributes(payload, 4).items() if kind != NFACCT_NAME}
    limited = found.get(NFACCT_FLAGS, 0) & (NFACCT_F_QUOTA_PKTS | NFACCT_F_QUOTA_BYTES)
    return AccountingObject(found[NFACCT_PKTS], found[NFACCT_BYTES], found.get(NFACCT_QUOTA) if limited else None,
                            limited == NFACCT_F_QUOTA_BYTES)
