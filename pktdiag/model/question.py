"""The question put to a walk: which packet, where it starts, what may be assumed about its sender."""

from __future__ import annotations

from pktdiag.model.packet import Packet
from pktdiag.model.record import NamedTuple


class Question(NamedTuple):
    """One packet at its starting point."""

    netns: str
    """``net:[INODE]`` in which the walk starts."""
    packet: Packet
    """As sent. For a local start a ``src`` of zeroes means: source address selection by the routing decision."""
    ingress: int | None = None
    """None: the namespace's own socket sends it (local output). Otherwise the ifindex it arrives on, as a frame from
    outside."""
    src_mac: bytes | None = None
    """Frame source for an ingress start; None: some foreign station."""
    dst_mac: bytes | None = None
    """Frame destination for an ingress start; None: the receiving device's own address."""
    mark: int = 0
    """SO_MARK of the sending socket (local start only)."""
    uid: int = 0
    """Owner of the sending socket (local start only)."""
    gid: int | None = 0
    """Its group; None: not known."""
    owner_told: bool = False
    """The user of pktdiag said whose it is; otherwise root is assumed."""
    oif: int = 0
    """SO_BINDTODEVICE ifindex of the sending socket, 0 for none."""
    state: str | None = None
    """--state: "new", "established", "related", "invalid", "untracked" forced in every namespace; None: as read."""
    header_included: bool = False
    """The sender uses IP_HDRINCL (a raw socket): ``src`` is taken as is, not validated against local addresses."""
    local_df: bool = False
    broadcast: bool = False
    """SO_BROADCAST is set on the sending socket."""
    assumptions: tuple[str, ...] = ()
    """What the command line left open and had to be chosen, in words with the flag that settles it."""
    vlan: int | None = None
    """The tag (TCI) of the frame, for an ingress start; None: untagged."""
    with_reply: bool = True
    """Walk the answer's way back too."""
    never_cut: bool = False
    """The sending socket asks that its packets be never cut (IP_MTU_DISCOVER, IPV6_MTU_DISCOVER: do). A packet with don't-fragment
    says little: sockets leave it off what they know to be too large."""
