"""What people call a namespace, and how one gets into it. The caller fills these in; rendering reads nothing."""

from __future__ import annotations

from pktdiag.model.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias


class Place(NamedTuple):
    """One namespace for a reader."""

    label: str
    """Raw: the container's name, "host", a name of ``ip netns``, else ``net:[INODE]``."""
    enter: str
    """Command prefix that runs a program there ("nsenter --net=/proc/123/ns/net", "ip netns exec web"), "" when it is
    the current one. Ready for a shell."""


Places: TypeAlias = "Mapping[str, Place]"


def place_of(places: Places, netns: str) -> Place:
    """The place, or the bare id where nobody has a name for it."""
    return places.get(netns) or Place(netns, "nsenter --net=… ")


def shell_word(text: str) -> str:
    """``text`` as one word of a POSIX shell. An interface may well be called ``a;reboot``."""
    if text and all(c.isascii() and (c.isalnum() or c in "@%+=:,./-_") for c in text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"
