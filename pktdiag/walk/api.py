"""The way in: a question and a view of the host become a :class:`Trace`."""

from __future__ import annotations

from pktdiag.conntrack import track
from pktdiag.model.host import Socket
from pktdiag.model.kernel import AF_INET, NFPROTO_BRIDGE, TCP_CLOSE
from pktdiag.model.packet import format_address
from pktdiag.model.question import Question
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import (
    DEPENDS,
    LEFT_HOST,
    THROUGH_VERDICTS,
    Drop,
    Fate,
    Leg,
    Outcome,
    RuleRef,
    Trace,
)
from pktdiag.model.view import HostView, NamespaceView
from pktdiag.netfilter.context import Skb
from pktdiag.walk import device, ip_output
from pktdiag.walk.explore import MAX_REPLAYS, Chooser, explore
from pktdiag.walk.ip_forward import TOS_TO_PRIORITY
from pktdiag.walk.state import Answer, LegRecord, Walk, rank

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")

TOO_MANY = f"a combination of conditions beyond the {MAX_REPLAYS} that were followed, which all end alike, changes it"


class Exchange(NamedTuple):
    """One replay's result."""

    request: LegRecord
    reply: LegRecord | None
    assumptions: tuple[str, ...]
    answers: tuple[tuple[str, bool], ...]


def trace(host: HostView, question: Question) -> Trace:
    """Walks the question's packet, and the answer's way back. Raises Unreadable only when the starting namespace is gone."""
    start = host.namespace(int(question.netns[5:-1]))
    exchanges: list[Exchange] = []

    def run(chooser: Chooser) -> None:
        walk = Walk(host, question, chooser)
        request = walk.leg
        _start(walk, start)
        reply = _walk_answer(walk) if question.with_reply else None
        exchanges.append(Exchange(request, reply, tuple(walk.assumptions), tuple(chooser.taken)))

    _, complete = explore(run)
    gaps = [f"{gap.what}: {gap.why}" for gap in host.gaps()]
    if not complete:
        gaps.append(f"more than {len(exchanges)} combinations of conditions; the rest was not followed")
    asked = question.packet
    piece = asked.is_fragment
    request = _leg([(exchange.request, exchange) for exchange in exchanges], complete, piece)
    replies = [(exchange.reply, exchange) for exchange in exchanges if exchange.reply is not None]
    reply = _leg(replies, complete, piece) if replies else None
    verdict = request.verdict
    if verdict in THROUGH_VERDICTS and reply is not None and reply.verdict not in THROUGH_VERDICTS:
        verdict = reply.verdict
    return Trace(verdict, summarise(request, reply), request, reply, (), tuple(gaps))


def _start(walk: Walk, ns: NamespaceView) -> None:
    """The request leg: from the sender's socket, or as a frame from outside."""
    question = walk.question
    skb = Skb(question.packet, question.mark)
    skb.local_df = question.local_df
    if question.ingress is None:
        skb.extra["uid"], skb.extra["gid"] = question.uid, question.gid
        if not question.owner_told:
            skb.extra["owner assumed"] = True
        skb.extra["header_included"] = question.header_included
        skb.sock, skb.sock_ns = _sending_socket(question), ns.id
        if question.packet.family == AF_INET and not question.header_included:  # __ip_sock_set_tos()
            skb.priority = TOS_TO_PRIORITY[(question.packet.tos & 0x1E) >> 3]
        walk.guarded(lambda: ip_output.send(walk, ns, skb, oif=question.oif, uid=question.uid, any_source=question.header_included),
                     ns, None, skb)
    else:
        dev = ns.link(question.ingress)
        if dev is None:
            walk.unsure(ns, "device-receive", None, skb, f"interface {question.ingress}, which is not there (any more)")
        else:
            skb.mark = 0
            skb.vlan_tci = question.vlan
            skb.dst_mac = question.dst_mac if question.dst_mac is not None else dev.mac
            skb.src_mac = question.src_mac if question.src_mac is not None else b"\x02\0\0\0\xff\xfe"
            walk.guarded(lambda: device.receive(walk, ns, dev, skb), ns, dev, skb)
    _run_out(walk)


def _run_out(walk: Walk) -> None:
    """Until nothing is on its way any more, nor waits for what will not come."""
    walk.run_backlog()
    if "datagrams" in walk.memory:
        from pktdiag.walk import gathering

        gathering.settle(walk)


def _sending_socket(question: Question) -> Socket:
    """What rules that look at the owner see of the sender. It need not exist yet: the question stands for it."""
    packet = question.packet
    nobody = bytes(len(packet.dst))
    return Socket(packet.family, packet.proto, TCP_CLOSE, packet.src, packet.sport, nobody, 0, question.oif, 0, question.uid, False,
                  question.mark, 0, 0)


def _walk_answer(walk: Walk) -> LegRecord | None:
    """The reply leg: the first answer the request caused, walked from where it is made, and its like: every copy of a flooded frame
    is rejected. Answers to answers are not followed."""
    answers = walk.leg.answers
    if not answers:
        return None
    first = answers[0]
    walk.leg = LegRecord(first.packet)
    walk.memory["replying"] = True
    for answer in answers:
        if (answer.ns.id, answer.packet, answer.kind) == (first.ns.id, first.packet, first.kind):
            _walk_one_answer(walk, answer)
    return walk.leg


def _walk_one_answer(walk: Walk, answer: Answer) -> None:
    skb = Skb(answer.packet, answer.mark)
    skb.extra["answer_to"] = answer.skb
    skb.extra["answer_kind"] = answer.kind
    skb.extra["answer_of_rule"] = answer.header_included  # made by a REJECT, not by a protocol
    if answer.kind not in ("udp-reply", "syn-ack", "rst") or (
            answer.kind == "rst" and not answer.header_included and len(answer.packet.dst) == 4):  # tcp_v6_send_response() sets none
        skb.extra["kernel socket"] = answer.ns.id
    if not answer.rejected_by and (answer.kind == "icmp-error" or (answer.kind == "rst" and answer.header_included)):
        # icmp_glue_bits(), icmpv6_getfrag() and nf_send_reset() call nf_ct_attach(); tcp_v4_send_reset() does not.
        track.attach(skb, answer.skb)
    ns = answer.ns
    if answer.sock is not None:
        skb.sock, skb.sock_ns = answer.sock, ns.id
    walk.guarded(lambda: _send_answer(walk, ns, answer, skb), ns, None, skb)
    _run_out(walk)


def _send_answer(walk: Walk, ns: NamespaceView, answer: Answer, skb: Skb) -> None:
    if answer.raw_device is not None:
        skb.src_mac, skb.dst_mac = answer.skb.dst_mac, answer.skb.src_mac
        over = ns.link(answer.raw_device.master or 0) if answer.rejected_by == NFPROTO_BRIDGE else None
        if over is None:
            device.transmit(walk, ns, answer.raw_device, skb)
            return
        from pktdiag.walk import bridge

        # nft_reject_bridge_eval(): br_forward() to the port it came in through, as the bridge's own frame
        skb.vlan_tci, skb.vlan_proto = answer.skb.vlan_tci, answer.skb.vlan_proto
        bridge.forward(walk, ns, over, None, skb, answer.raw_device.ifindex, False)
        return
    # IPv4 routes an answer from an address that is nobody's here only for a transparent socket (inet_sk_flowi_flags).
    strict = answer.kind in ("syn-ack", "rst", "echo-reply") and len(answer.packet.dst) == 4 and answer.skb.tproxy_sock is None \
        and not (answer.sock is not None and answer.sock.transparent)
    ip_output.send(walk, ns, skb, oif=answer.oif, any_source=answer.header_included or not (strict or answer.kind == "udp-reply"))


# -- from replays to a leg ------------------------------------------------------------------------------------------------
def main_fate(record: LegRecord) -> Fate:
    """Of all copies' ends the one that answers the question: whoever got it, else the most telling loss."""
    if not record.fates:
        drop = Drop("", "", "", "", None, (), "the packet vanished without a recorded end (a defect of pktdiag)", None, "unknown")
        return Fate(DEPENDS, record.last_packet, None, drop, "", "")

    return min([fate for fate in record.fates if not fate.duplicate] or record.fates, key=rank)


def _leg(records: list[tuple[LegRecord, Exchange]], complete: bool, piece: bool) -> Leg:
    """Merges the replays of one direction: like outcomes are one, and only unlike ones make it ``depends``. How far later fragments get
    makes none unlike, unless a fragment was asked about (``piece``)."""
    groups: dict[object, list[tuple[LegRecord, Exchange]]] = {}
    for record, exchange in records:
        fate = main_fate(record)
        drop = fate.drop
        key = (fate.verdict, fate.packet, fate.receiver, drop and (drop.reason, drop.stage, drop.netns, drop.rule, drop.text),
               tuple(item for item in record.sightings if piece or not item.packet.fragment_offset))
        groups.setdefault(key, []).append((record, exchange))
    first, exchange = next(iter(groups.values()))[0]
    fate = main_fate(first)
    conditions = _conditions(list(groups.values()))
    outcomes = tuple(Outcome(conditions[number], main_fate(members[0][0]), tuple(members[0][0].sightings))
                     for number, members in enumerate(groups.values()))
    marks = {main_fate(record).mark for record, _ in records}
    mark = fate.mark if len(marks) == 1 else None
    if len(groups) == 1:
        sure, maybe = _hits([record for record, _ in records])
        if complete and fate.verdict != DEPENDS:
            counted, perhaps = _common([record.counters for record, _ in records])
            seen, unseen = _common([record.sightings for record, _ in records])
            return Leg(fate.verdict, fate.packet, fate.receiver, fate.drop, seen, tuple(first.steps), (),
                       sure, counted, exchange.assumptions, mark, maybe_hit=maybe, maybe_counted=perhaps, maybe_seen=unseen)
        reason = TOO_MANY if not complete else fate.drop.text if fate.drop else "something that could not be read"
        outcomes = (Outcome((reason,), fate, tuple(first.sightings)),)
        return Leg(DEPENDS, fate.packet, None, None, tuple(first.sightings), tuple(first.steps), outcomes, sure, tuple(first.counters),
                   exchange.assumptions, mark, maybe_hit=maybe)
    return Leg(DEPENDS, fate.packet, None, None, tuple(first.sightings), tuple(first.steps), outcomes, tuple(first.hits),
               tuple(first.counters), exchange.assumptions, mark)


def _hits(records: list[LegRecord]) -> tuple[tuple[RuleRef, ...], tuple[RuleRef, ...]]:
    """The rules every replay hit, in order, and those that only some did: conditions that changed nothing else."""
    doubted = dict.fromkeys(rule for record in records for rule in record.uncertain)
    sure, rest = _common([record.hits for record in records])
    return tuple(rule for rule in sure if rule not in doubted), tuple(dict.fromkeys((*rest, *doubted)))


def _common(lists: list[list[_T]]) -> tuple[tuple[_T, ...], tuple[_T, ...]]:
    """What stands in all of them, as often as in the one that has it least, in the first one's order; and the rest."""
    if all(each == lists[0] for each in lists[1:]):
        return tuple(lists[0]), ()
    sure: list[_T] = []
    others = [list(each) for each in lists[1:]]
    rest: list[_T] = []
    for item in lists[0]:
        if all(item in other for other in others):
            sure.append(item)
            for other in others:
                other.remove(item)
        else:
            rest.append(item)
    return tuple(sure), tuple(dict.fromkeys((*rest, *(item for other in others for item in other))))


def _conditions(groups: list[list[tuple[LegRecord, Exchange]]]) -> list[tuple[str, ...]]:
    """For each group the answers all its replays share and that tell it from the others."""
    shared = [set.intersection(*(set(exchange.answers) for _, exchange in group)) for group in groups]
    told = []
    for number, answers in enumerate(shared):
        others = [other for position, other in enumerate(shared) if position != number]
        telling = [item for item in groups[number][0][1].answers if item in answers and not all(item in other for other in others)]
        told.append(tuple(text if answer else f"not: {text}" for text, answer in dict.fromkeys(telling)))
    return told


def summarise(request: Leg, reply: Leg | None) -> str:
    """One plain sentence, raw names in it."""
    if request.verdict == DEPENDS:
        conditions = [text for outcome in request.outcomes for text in outcome.conditions if not text.startswith("not: ")]
        condition = conditions[0] if conditions else "something that could not be read"
        return f"It depends on {'' if 'could not be read' in condition else 'whether '}{condition}."
    if request.drop is not None:
        drop = request.drop
        sent = f" and answered with {drop.answer}" if drop.answer else ""
        verb = "Rejected" if drop.answer else "Dropped"
        if drop.piece:
            return f"{drop.piece.capitalize()}, without which the datagram is lost, is {verb.lower()} at {drop.stage}{sent}: {drop.text}"
        return f"{verb} at {drop.stage}{sent}: {drop.text}"
    if request.verdict == LEFT_HOST:
        got = f"It leaves this host through {request.sightings[-1].device}." if request.sightings else "It leaves this host."
    else:
        receiver = request.receiver
        who = "the kernel" if receiver is None or receiver.process == "kernel" else \
            (receiver.process or "a socket") + (f" in {receiver.container}" if receiver.container else "")
        got = f"Delivered to {who} at {format_address(request.packet.dst)}."
    if reply is not None and reply.verdict not in THROUGH_VERDICTS:
        lost = reply.drop.text if reply.drop is not None else "that depends on a condition"
        return f"{got} The answer does not get back: {lost}"
    return got
