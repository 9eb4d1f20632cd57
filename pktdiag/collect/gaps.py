"""From an errno to a sentence: why something could not be read, and what would settle it."""

from __future__ import annotations

import errno
import os

from pktdiag.collect.netlink import Interrupted
from pktdiag.model.host import Gap

AS_ROOT = "run as root (CAP_NET_ADMIN in the namespace, CAP_SYS_ADMIN to enter it)"
VANISHED = "the namespace vanished while it was read"


class NotToldError(OSError):
    """The kernel has no way of telling; what would give it one."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(errno.EOPNOTSUPP, why)
        self.why, self.remedy = why, remedy


def gap_of(netns: str, what: str, error: OSError) -> Gap:
    """The gap an error leaves."""
    number = error.errno
    if isinstance(error, Interrupted):
        return Gap(netns, what, "it kept changing while it was read", "try again when the host is quieter")
    if isinstance(error, NotToldError):
        return Gap(netns, what, error.why, error.remedy)
    if number in (errno.EPERM, errno.EACCES):
        return Gap(netns, what, "permission denied", AS_ROOT)
    if number in (errno.ESRCH, errno.ENOENT) and error.filename:
        return Gap(netns, what, VANISHED, "ask again: its processes have ended")
    if number == errno.EBADMSG:
        return Gap(netns, what, f"what the kernel answered could not be understood ({error.args[1]})", "report it, with uname -r")
    if number == errno.EAGAIN:
        return Gap(netns, what, "the kernel did not answer within 10 seconds", "try again")
    if number == errno.EMFILE:
        return Gap(netns, what, "too many open files", "raise ulimit -n")
    reason = os.strerror(number) if number else str(error)
    return Gap(netns, what, f"the kernel answered: {reason}", "see whether the kernel supports it")
