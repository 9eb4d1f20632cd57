"""What is registered at a netfilter hook, in the order it runs (net/netfilter/nfnetlink_hook.c: nfnl_hook_dump)."""

from __future__ import annotations

import errno

from pktdiag.collect.netlink import Netlink, attribute, attributes, text, text_attribute

NFNL_MSG_HOOK_GET = 12 << 8
NFNLA_HOOK_HOOKNUM, NFNLA_HOOK_PRIORITY, NFNLA_HOOK_DEV, NFNLA_HOOK_FUNCTION_NAME, NFNLA_HOOK_MODULE_NAME = 1, 2, 3, 4, 5


def read_hooks(netlink: Netlink, family: int, hook: int, device: str | None) -> tuple[tuple[int, str, str], ...] | None:
    """(priority, function, module) each, "" for a function or module the kernel does not name. None where the kernel
    has no nfnetlink_hook (before 5.14, or left out) or not for this family."""
    body = bytes((family, 0, 0, 0)) + attribute(NFNLA_HOOK_HOOKNUM, hook.to_bytes(4, "big"))
    if device is not None:
        body += text_attribute(NFNLA_HOOK_DEV, device)
    try:
        payloads = netlink.dump(NFNL_MSG_HOOK_GET, body)
    except OSError as error:
        if error.errno == errno.ENOENT:  # nfnl_hook_entries_head(): nothing was ever registered there
            return ()
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return None
        raise
    found = []
    for payload in payloads:
        parts = attributes(payload, 4)
        priority = int.from_bytes(parts[NFNLA_HOOK_PRIORITY], "big", signed=True)
        found.append((priority, text(parts.get(NFNLA_HOOK_FUNCTION_NAME, b"")), text(parts.get(NFNLA_HOOK_MODULE_NAME, b""))))
    return tuple(found)
