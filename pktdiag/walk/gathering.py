"""Fragments of a datagram that was cut in this walk come together again, or wait for one that is lost on its way.

Sources: net/ipv4/ip_fragment.c (ip_defrag, ip_frag_queue, ip_frag_reasm, ip_expire), net/ipv4/inet_fragment.c (inet_frag_queue_insert,
inet_frag_reasm_prepare), net/ipv4/netfilter/nf_defrag_ipv4.c (nf_ct_ipv4_gather_frags), net/ipv6/reassembly.c (ipv6_frag_rcv),
net/ipv6/netfilter/nf_conntrack_reasm.c (nf_ct_frag6_gather, nf_ct_frag6_reasm).
"""

from __future__ import annotations

from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import DEPENDS, DROPPED, REJECTED, Fate
from pktdiag.model.view import NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk.pieces import Datagram, Piece, piece_of, restored
from pktdiag.walk.state import Walk, rank


class Held(NamedTuple):
    """A fragment that waits."""

    skb: Skb
    piece: Piece
    ns: NamespaceView
    dev: Link | None
    stage: str


def gathered(walk: Walk, ns: NamespaceView, dev: Link | None, skb: Skb, stage: str, where: str) -> bool:
    """True: with this one all are here, and ``skb`` is the whole datagram from now on, with what the first fragment bears. False: it
    waits for the others, or ended. ``where``: whose queue it is, "local" or netfilter's."""
    piece = piece_of(skb)
    assert piece is not None
    v4, local, packet = skb.packet.family == AF_INET, where == "local", skb.packet
    key = (ns.id, where, piece.datagram.number, packet.src, packet.dst)
    queues = walk.memory.setdefault("gathering", {})
    held = [*queues.get(key, ()), Held(skb.copy(), piece, ns, dev, stage)]
    if v4:  # ipv6_frag_rcv() has counted, nf_ct_frag6_gather() does not
        walk.count(ns, "IpReasmReqds")
    for other in held[:-1]:
        if other.piece.begin < piece.end and piece.begin < other.piece.end:
            if other.piece.begin <= piece.begin and piece.end <= other.piece.end:
                if not walk.copying:
                    other.skb.extra.pop("duplicate", None)  # a copy (TEE) came first, and stands for it from now on
                walk.drop(ns, stage, dev, skb, "DUP_FRAG", "The same fragment has come before.", cause="duplicate-fragment")
            else:
                walk.unsure(ns, stage, dev, skb, "how fragments that overlap are put together: its datagram was cut in two ways")
            return False
    missing = piece.datagram.size - sum(one.piece.end - one.piece.begin for one in held)
    if not walk.silent:
        queues[key] = () if not missing else tuple(held)
    if missing:
        if len(held) == 1:
            walk.step(ns, stage, dev, f"Fragment {piece.number} of {piece.of} waits here for the others of its datagram.")
        return False
    if len({one.skb.packet.tos for one in held}) > 1:
        walk.unsure(ns, stage, dev, skb, "which class the datagram has whose fragments bear different ones")
        return False
    held.sort(key=lambda one: one.piece.begin)
    _become(skb, [one.skb for one in held], piece.datagram, local)
    walk.piece, walk.copying = piece_of(skb), "duplicate" in skb.extra
    if not walk.silent and not walk.copying:
        walk.memory.setdefault("joined", []).extend(one.piece.span() for one in held)
    if v4 or local:
        walk.count(ns, "IpReasmOKs" if v4 else "Ip6ReasmOKs")
    by = "" if local else " (connection tracking does so in front of the rules)"
    walk.step(ns, stage, dev, f"All {len(held)} fragments are here, and are one packet of {skb.packet.length} bytes again{by}.",
              detail={"gathered": len(held)}, packet=skb.packet)
    return True


def _become(skb: Skb, parts: list[Skb], datagram: Datagram, local: bool) -> None:
    """skb_morph(): everything is the first fragment's."""
    head = parts[0]
    for name in Skb.__slots__:
        setattr(skb, name, getattr(head, name))
    skb.extra = dict(head.extra)
    for key in ("piece", "routed as"):  # fragments are not demultiplexed early
        skb.extra.pop(key, None)
    if not all("duplicate" in each.extra for each in parts):
        skb.extra.pop("duplicate", None)
    if datagram.outer is not None:
        skb.extra["piece"] = datagram.outer
    bare = [each.packet.length - each.packet.header_length for each in parts]
    length = head.packet.length - bare[0] + sum(bare)
    if head.packet.family != AF_INET:
        length -= 8
    skb.packet = restored(head.packet, datagram)._replace(length=length)
    skb.sock = None
    if not local:
        skb.local_df = True
        skb.frag_max_size = max(each.packet.length for each in parts)
        skb.extra["parts"] = tuple(bare)


def settle(walk: Walk) -> None:
    """The leg is over: what still waits has waited in vain, and the fates of fragments become the fate of their datagram."""
    _expire(walk)
    fates = walk.leg.fates
    for datagram in reversed(walk.memory.get("datagrams", ())):
        mine = [fate for fate in fates if fate.piece is not None and fate.piece[0] == datagram.number]
        if mine:
            fates = [fate for fate in fates if fate not in mine]
            told = _together(walk, datagram, [fate for fate in mine if not fate.duplicate] or mine)
            fates += [told] if told is not None else []
    walk.leg.fates[:] = fates


def _expire(walk: Walk) -> None:
    """ip_expire(), ip6frag_expire_frag_queue(): after net.ipv4.ipfrag_time, net.ipv6.ip6frag_time or nf_conntrack_frag6_timeout. The error
    that then tells the sender of it is not followed: the loss is elsewhere."""
    for held in walk.memory.pop("gathering", {}).values():
        if not held:
            continue
        first = held[0]
        walk.piece, was_copying = first.piece, walk.copying
        walk.copying = "duplicate" in first.skb.extra
        v4 = first.skb.packet.family == AF_INET
        here = ", ".join(str(one.piece.number) for one in held)
        what = f"Fragment {here} of {first.piece.of} waits" if len(held) == 1 else f"{len(held)} fragments ({here}) wait"
        walk.drop(first.ns, first.stage, first.dev, first.skb, "FRAG_REASM_TIMEOUT", f"{what} in vain for the rest of the datagram, "
                  "until its time is over.", cause="fragments-missing",
                  counters=("IpReasmTimeout", "IpReasmFails") if v4 else ("Ip6ReasmTimeout", "Ip6ReasmFails"))
        walk.copying = was_copying
    walk.piece = None


def _together(walk: Walk, datagram: Datagram, fates: list[Fate]) -> Fate | None:
    """What became of all its bytes: of every part the best that happened to one of its copies, of the parts the worst. None: all were
    gathered, and what became of the datagram then tells the rest."""
    from itertools import pairwise

    spans = [fate.piece for fate in fates if fate.piece is not None]
    joined = [span for span in walk.memory.get("joined", ()) if span[0] == datagram.number]
    edges = sorted({edge for span in (*spans, *joined) for edge in span[1:3]})
    ends: list[Fate] = []
    arrived = 0
    for begin, end in pairwise(edges):
        if any(span[1] <= begin and end <= span[2] for span in joined):
            arrived += 1
            continue
        here = [fate for fate in fates if fate.piece is not None and fate.piece[1] <= begin and end <= fate.piece[2]]
        if here:
            ends.append(min(here, key=rank))
    if not ends:
        return None
    told = min(ends, key=lambda fate: (_telling(fate), fates.index(fate)))
    drop, span = told.drop, told.piece
    alike = not arrived and len({_place(fate) for fate in ends}) == 1
    if drop is not None and span is not None and told.verdict != DEPENDS and not alike:
        drop = drop._replace(piece=f"fragment {span[3]} of {span[4]}")
    return told._replace(drop=drop, packet=restored(told.packet, datagram),
                         piece=datagram.outer.span() if datagram.outer is not None else None)


def _telling(fate: Fate) -> int:
    """What tells of the loss comes first; that others wait is the least of it."""
    if fate.drop is not None and fate.drop.reason == "FRAG_REASM_TIMEOUT":
        return 3
    return {REJECTED: 0, DROPPED: 1, DEPENDS: 2}.get(fate.verdict, 4)


def _place(fate: Fate) -> object:
    drop = fate.drop
    return fate.verdict, drop and (drop.reason, drop.stage, drop.netns, drop.device, drop.rule)
