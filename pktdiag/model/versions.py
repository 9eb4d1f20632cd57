"""Which of two behaviours a kernel has, where they differ: by what its version shows under /proc/sys, not by a number in
``uname -r`` (distributions carry changes back)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pktdiag.model.view import NamespaceView


def since_6_7(ns: NamespaceView) -> bool:
    """By a sysctl of v6.7."""
    return ns.sysctl("net/ipv4/tcp_backlog_ack_defer") is not None
