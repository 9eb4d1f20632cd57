"""IPsec policies, undecoded. net/xfrm/xfrm_user.c: xfrm_dump_policy, xfrm_get_default

Whether the kernel listens to NETLINK_XFRM at all is looked up in /proc/net/netlink first: opening such a socket would make it load
xfrm_user (netlink_create). Without that module, nobody has made policies but the old PF_KEY, which is gone with its users.
"""

from __future__ import annotations

import errno

from pktdiag.collect.netlink import NETLINK_XFRM
from pktdiag.collect.nsenter import Door

XFRM_MSG_GETPOLICY, XFRM_MSG_GETDEFAULT = 0x15, 0x28
NONE: tuple[tuple[bytes, ...], bytes] = (), b""
_there: list[bool] = []


def policies(door: Door) -> tuple[tuple[bytes, ...], bytes]:
    """See ``model.view``. Without CAP_NET_ADMIN the kernel tells nothing, of the rules that would have to be read neither."""
    if not _there:
        lines = (door.read("/proc/thread-self/net/netlink") or b"").splitlines()
        _there.append(any(line.split()[1:2] == [b"%d" % NETLINK_XFRM] for line in lines))
    if not _there[0]:
        return NONE
    netlink = door.xfrm()
    try:
        found = tuple(netlink.dump(XFRM_MSG_GETPOLICY, b""))
        default = netlink.get_many([(XFRM_MSG_GETDEFAULT, bytes(4))])[0]
    except PermissionError:
        return NONE
    if isinstance(default, OSError) and default.errno not in (errno.EINVAL, errno.EPERM):  # EINVAL: before v5.15
        raise default
    defaults = default[:3] if isinstance(default, bytes) and 1 in default[:3] else b""
    return (found, defaults) if found or defaults else NONE
