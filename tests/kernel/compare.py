"""Holds a predicted Trace against the truth. Every disagreement has a class, so that runs can be summed up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pktdiag.model.packet import format_address
from pktdiag.model.trace import DELIVERED, DEPENDS, DROPPED, LEFT_HOST, REJECTED, Drop, Fate, Leg, RuleRef, Sighting, Trace

from .build import Built
from .counters import RuleKey
from .frames import Seen
from .observe import GIVEN_UP, DropSeen, Truth
from .send import Sender

Plain = tuple[str, str, str, str, str, int, int, int, str]
"""A sighting as it is compared: (namespace, device, direction, src, dst, sport, dport, proto, which bytes of a datagram it holds)."""

NO_ROUTE_ERRORS = {"ENETUNREACH", "EHOSTUNREACH", "EACCES", "EINVAL", "ENETDOWN", "EADDRNOTAVAIL", "ENODEV", "EMSGSIZE"}
BENIGN = frozenset(("CONSUMED", "NOT_DROPPED_YET"))

COUNTED = (
    "IpInHdrErrors", "IpInAddrErrors", "IpInUnknownProtos", "IpInDiscards", "IpOutDiscards", "IpOutNoRoutes", "IpFragFails",
    "IpExtInNoRoutes", "IpExtInTruncatedPkts", "IpExtInCsumErrors", "TcpExtIPReversePathFilter", "UdpNoPorts", "UdpInErrors",
    "TcpExtListenDrops", "TcpExtListenOverflows", "TcpExtTCPReqQFullDrop", "Ip6InHdrErrors", "Ip6InTooBigErrors",
    "Ip6InNoRoutes", "Ip6InAddrErrors", "Ip6InUnknownProtos", "Ip6InTruncatedPkts", "Ip6InDiscards", "Ip6OutDiscards",
    "Ip6OutNoRoutes", "Ip6FragFails", "Udp6NoPorts", "TcpOutRsts", "IcmpOutDestUnreachs", "IcmpOutTimeExcds",
    "Icmp6OutDestUnreachs", "Icmp6OutTimeExcds", "Icmp6OutPktTooBigs", "IpForwDatagrams",
    "IpFragOKs", "IpFragCreates", "IpReasmReqds", "IpReasmOKs", "Ip6FragOKs", "Ip6FragCreates", "Ip6ReasmReqds", "Ip6ReasmOKs",
)
"""Counters that tell of a drop or an answer: these have to move exactly as predicted."""

LATER = (
    # net/ipv4/tcp_input.c: tcp_rcv_state_process says why a listener refuses an ACK since v6.9
    # net/ipv4/ip_input.c: ip_rcv_finish_core names what ip_rcv_options() found since then, too
    ("IP_INHDR", "ip_rcv_finish_core", "TCP_INVALID_ACK_SEQUENCE"),
    ("TCP_FLAGS", "tcp_v4_do_rcv", "TCP_INVALID_ACK_SEQUENCE"), ("TCP_FLAGS", "tcp_v6_do_rcv", "TCP_INVALID_ACK_SEQUENCE"),
    # net/ipv4/ip_input.c: ip_rcv_finish_core() says what is wrong with options since v6.13
    ("IP_INHDR", "ip_rcv_finish_core.constprop.0", "IP_INVALID_SOURCE"), ("IP_INHDR", "br_handle_frame", "IP_INVALID_SOURCE"),
)
"""(reason, function, reason that came with it): drops which older kernels make without naming the reason, though they know its
name from elsewhere. A kernel without the third is such a one."""
ANY = -1


class Mismatch(NamedTuple):
    kind: str
    """"verdict", "receiver", "reason", "sightings", "answer", "counters", "rules", "crash"."""
    text: str


def plain_seen(sight: Seen) -> Plain:
    ports = (sight.sport, sight.dport) if sight.proto in (6, 17) else (0, 0)
    begin = sight.frag if ":" in sight.dst else sight.frag * 8
    part = f"{begin}+{sight.length}" if sight.ident else ""
    return sight.netns, sight.device, sight.direction, sight.src, sight.dst, *ports, sight.proto, part


def plain(sighting: Sighting, names: dict[str, str]) -> Plain:
    packet = sighting.packet
    ports = (packet.sport, packet.dport) if packet.proto in (6, 17) and not packet.fragment_offset else (0, 0)
    # A port the kernel draws at random is not predicted, and says so.
    ports = tuple(ANY if port and name in packet.unknown else port for port, name in zip(ports, ("sport", "dport")))
    part = f"{packet.fragment_offset}+{packet.length}" if packet.fragment_offset or packet.more_fragments else ""
    return (names.get(sighting.netns, sighting.netns), sighting.device, sighting.direction, format_address(packet.src),
            format_address(packet.dst), *ports, packet.proto, part)


def alike(want: list[Plain], got: list[Plain]) -> bool:
    """Whether the sightings are the predicted ones."""
    if len(want) == len(got):
        got = [tuple(ANY if w == ANY else g for w, g in zip(each, seen)) for each, seen in zip(want, got)]  # type: ignore[misc]
    return want == got or _same_per_namespace(want, got)


def rule_key(rule: RuleRef, names: dict[str, str]) -> RuleKey:
    backend = "xt" if rule.backend.endswith("-legacy") else "nft"
    number = rule.index if backend == "xt" else rule.handle or 0
    return names.get(rule.netns, rule.netns), backend, rule.family, rule.table, rule.chain, number


class Judgement:
    """One case: what was predicted, what happened, and in what they differ."""

    def __init__(self, built: Built, sender: Sender, trace: Trace, truth: Truth, texts: Mapping[RuleKey, str] | None = None) -> None:
        self.texts = texts or {}
        self.names = {ns.id: name for name, ns in built.namespaces.items()}
        self.built, self.sender, self.trace, self.truth = built, sender, trace, truth
        self.mismatches: list[Mismatch] = []
        self.perhaps = {rule_key(rule, self.names) for leg in (trace.request, trace.reply) if leg for rule in leg.maybe_hit}
        """Rules of which the walk says that they may count or not."""
        self.honest_outcome: int | None = None
        """For ``depends``: which outcome came true."""
        leg = trace.request
        if leg.verdict == DEPENDS:
            self._depends(leg)
            if not self.mismatches and len(leg.outcomes) == 1:
                self._rules_so_far(leg)
        else:
            self._fate(Fate(leg.verdict, leg.packet, leg.receiver, leg.drop, "", ""), leg.sightings)
            self._answer()
            self._counters()
            self._rules()
        if self.mismatches and self._out_of_window():
            self.mismatches = []

    def _out_of_window(self) -> bool:
        """A segment on a connection that conntrack knows is asked about as one that fits (tcp_in_window); this one does not."""
        if not self.sender.invented:
            return False
        fits = ("part of an established", "known connection", "a new connection") if self.sender.tag.flags & 0x05 else (
            "part of an established", "known connection")
        return any(step.text.startswith("Connection tracking: ") and any(words in step.text for words in fits)
                   for step in self.trace.request.steps)

    def _add(self, kind: str, text: str) -> None:
        self.mismatches.append(Mismatch(kind, text))

    # -- the packet's own way --------------------------------------------------------------------------------------
    def _depends(self, leg: Leg) -> None:
        failures = []
        for number, outcome in enumerate(leg.outcomes):
            self.mismatches = []
            self._fate(outcome.fate, outcome.sightings)
            if not self.mismatches:
                self.honest_outcome = number
                return
            failures.append(f"[{'; '.join(outcome.conditions)}] {self.mismatches[0].text}")
        self.mismatches = [Mismatch("depends", "none of its outcomes came true: " + " | ".join(failures))]

    def _fate(self, fate: Fate, sightings: tuple[Sighting, ...]) -> None:
        truth = self.truth
        want = [plain(s, self.names) for s in sightings]
        perhaps = [plain(s, self.names) for s in self.trace.request.maybe_seen]
        got = [plain_seen(s) for s in truth.sightings]
        got = [each for each in got if each in want or each not in perhaps]
        if fate.verdict == DEPENDS:  # followed up to here, and no further
            # Of fragments, each goes on in its own time.
            if not self._alike(want, got[:len(want)]) and not (self._cut() and set(want) <= set(got)):
                self._add("sightings", f"predicted {_show(want)} and then unsure\n      seen      {_show(got)}")
            return
        if not self._alike(want, got):
            self._add("sightings", f"predicted {_show(want)}\n      seen      {_show(got)}")
        drops = [drop for drop in truth.drops if drop.reason not in BENIGN and (
            drop.kind in ("request", "?") or (drop.location in GIVEN_UP and self._cut()))]
        receivers = truth.receivers
        reply = self.trace.reply
        if reply is not None and fate.verdict == DELIVERED:
            # A drop before any device had the skb: the answer's, if that is what was predicted for it.
            ends = {each.reason for each in (reply.drop, *(outcome.fate.drop for outcome in reply.outcomes)) if each is not None}
            if ends and reply.packet.dst == b"\xff\xff\xff\xff":
                ends.add("INVALID_PROTO")  # the copy for this host itself: nobody takes an echo reply that was for all
            drops = [d for d in drops if not (d.kind == "?" and d.reason in ends)]
        if fate.verdict == DELIVERED:
            self._delivered(fate, [d.reason for d in drops if not self._taken(d)])
        elif fate.verdict in (DROPPED, REJECTED):
            self._dropped(fate, [d.reason for d in drops])
        elif fate.verdict == LEFT_HOST:
            if receivers:
                self._add("verdict", f"predicted left-host, but {_who(self)} got it")
            elif truth.error:
                self._add("verdict", f"predicted left-host, but the send failed with {truth.error}")
            elif self._definite(drops):
                self._add("verdict", f"predicted left-host, but dropped: {[(d.reason, d.location) for d in drops]}")

    def _definite(self, drops: list[object]) -> bool:
        """Whether a drop seen was the packet's end: copies flooded by a bridge or meant for another station do not count."""
        reasons = [d.reason for d in drops]
        return any(reason not in ("OTHERHOST",) for reason in reasons) or (bool(reasons) and len(reasons) >= self._copies())

    def _copies(self) -> int:
        """How many ends the packet has: one more for every sighting that a flood added."""
        outs = sum(s.direction == "out" for s in self.truth.sightings)
        ins = sum(s.direction == "in" for s in self.truth.sightings)
        heard_here = self.sender.spec["how"] != "frame" and bool(outs) and self._to_many()
        return max(1, abs(outs - ins)) + heard_here  # the sender's host gets a copy of a broadcast or multicast packet (ip_mc_output)

    def _to_many(self) -> bool:
        """Broadcast or multicast."""
        dst = self.sender.spec["dst"]
        return bool(self.sender.spec.get("broadcast")) or dst == "255.255.255.255" or dst.startswith(("ff", "22"))

    def _delivered(self, fate: Fate, reasons: list[str]) -> None:
        truth, who = self.truth, fate.receiver
        if truth.error:
            self._add("verdict", f"predicted delivered, but the send failed with {truth.error}")
            return
        if truth.receivers:
            wanted = who.socket if who else None
            if not any(self._is_listener(item, who.netns if who else "", wanted) for item in truth.receivers):
                self._add("receiver", f"predicted {who}, got by {_who(self)}")
            return
        if who is None or who.process != "kernel":
            proto = self.sender.tag.proto
            moved = truth.counters.get(self.names.get(who.netns, ""), {}) if who else {}
            if any(s.proto == 6 and s.what and int(s.what, 16) & 0x12 == 0x12 for s in truth.answer):
                return  # a SYN-ACK whose segment size, changed by a rule, does not say whose it is
            if proto == 6 and moved.get("TcpInSegs") and not moved.get("TcpOutRsts") and (
                    not set(reasons) - {"OTHERHOST"} or moved.get("TcpOutSegs")
                    or (moved.get("TcpExtListenDrops") and not moved.get("TcpExtListenOverflows"))):
                # A listener took it, and its SYN-ACK was lost before any tap could show whose it was. Drops do not tell against it: the
                # SYN is freed without an event, and what is allocated in its place (a multicast report, the sender's next try) is
                # another packet at its address. Only a listener counts in ListenDrops (tcp_conn_request).
                return
            if proto in (6, 17) and not self._own_socket(who.socket if who else None):
                self._add("verdict", f"predicted delivered to {who}, but no listener got it; drops {truth.drops}")
                return
        if who is not None and who.process == "kernel" and any(s.what in ("0/0", "129/0", "14/0") for s in truth.answer):
            return
        if who is not None and who.process == "kernel":
            moved = truth.counters.get(self.names.get(who.netns, ""), {})
            type_ = self.sender.tag.icmp_type
            if (moved.get(f"IcmpMsgInType{type_}") and not moved.get("IcmpInErrors")) or (
                    type_ == 128 and (moved.get("Icmp6OutEchoReplies") or (moved.get("Icmp6InEchos") and not moved.get("Icmp6InErrors")))):
                return  # it was taken there, whatever became of the other copies and of the answer
        bad = [reason for reason in reasons if reason not in ("OTHERHOST", "NO_SOCKET") or
               (reason == "NO_SOCKET" and self.sender.tag.proto in (6, 17))]
        if bad and len(bad) >= self._copies():
            self._add("verdict", f"predicted delivered, but dropped: {truth.drops}")

    def _own_socket(self, text: str | None) -> bool:
        """The sending socket itself may be the receiver (a packet to oneself)."""
        return bool(text) and f":{self.sender.spec['sport']}" in str(text)

    def _is_listener(self, listener: object, netns: str, text: str | None) -> bool:
        item = listener.item
        address = item["addr"]
        shown = f"[{address}]" if ":" in address else address
        return listener.ns.id == netns and (text or "").startswith(item["proto"]) and \
            f"{shown}:{item['port']}" in (text or "")

    def _alike(self, want: list[Plain], got: list[Plain]) -> bool:
        """ip6t_DNPT writes into the header without asking for a copy of its own (ip6t_dnpt_tg): taps in front of it, up to
        the sender's, see what it wrote."""
        if any(item["do"] == "xt" and " -j DNPT " in item["line"] for item in self.built.host["items"]):
            want, got = ([(*each[:3], *("*" if ":" in address else address for address in each[3:5]), *each[5:]) for each in way]
                         for way in (want, got))
        return alike(want, got)

    def _dropped(self, fate: Fate, reasons: list[str]) -> None:
        truth = self.truth
        reason = fate.drop.reason if fate.drop else "?"
        if truth.receivers:
            self._add("verdict", f"predicted {fate.verdict} ({reason}), but {_who(self)} got it")
            return
        if truth.error and not reasons:
            if truth.error == "EPERM" and reason in ("NETFILTER_DROP", "XFRM_POLICY"):
                return
            if truth.error.removeprefix("open:") not in NO_ROUTE_ERRORS or reason in ("NETFILTER_DROP", "NO_SOCKET"):
                self._add("reason", f"predicted {reason}, the send failed with {truth.error}")
            return
        if not reason and not reasons and not truth.answer:
            return  # discarded without a word: consume_skb()
        waits = reason == "FRAG_REASM_TIMEOUT"
        reason = self._in_its_words(reason, truth.drops)
        if reason not in reasons and fate.drop is not None and self._through_macvlan() and self._elsewhere(fate.drop):
            return
        if waits and not truth.answer and (set(reasons) <= {"OTHERHOST"} or self._gathers(fate.drop)):
            return  # it waits for the others of its datagram, for longer than we do
        if not reasons:
            self._add("verdict", f"predicted {fate.verdict} ({reason}), but nothing dropped it; error {truth.error!r}")
            return
        # Only the redirect, or another copy of what was flooded, was dropped with a word.
        silent = fate.drop is not None and not fate.drop.reason and (self._redirected() or set(reasons) == {"OTHERHOST"})
        if reason not in reasons and not silent:
            self._add("reason", f"predicted {reason} at {fate.drop.stage if fate.drop else '?'}, seen "
                      f"{[(d.reason, d.location) for d in truth.drops]}")

    def _elsewhere(self, drop: Drop) -> bool:
        """What a neighbour's timer sends, or a macvlan's worker sets in motion, may be dropped on another CPU than the one looked at:
        counters of rule or protocol tell. Behind a macvlan, a drop that moves none is taken at its word: taps saw the packet come as
        far, and nobody has got it."""
        first = self.trace.request.drop
        moved = self.truth.counters.get(self.names.get(drop.netns, ""), {})
        if (first is None or first.stage != "neighbour") and not self._through_macvlan():
            return False
        if drop.rule is not None:
            return bool(self.truth.rules.get(rule_key(drop.rule, self.names)))
        if not drop.counters:
            return self._through_macvlan()
        return all(moved.get(name) for name in drop.counters)

    def _gathers(self, drop: Drop | None) -> bool:
        """Whether a fragment of many was taken to be put together there (ip_defrag), whatever became of its other copies."""
        moved = self.truth.counters.get(self.names.get(drop.netns, ""), {}) if drop is not None and self._to_many() else {}
        return bool(moved.get("IpReasmReqds")) and not moved.get("IpReasmOKs")

    def _through_macvlan(self) -> bool:
        """ARP requests, as all broadcasts, come up through a macvlan from a work queue (drivers/net/macvlan.c: macvlan_process_broadcast),
        and who is answered there goes on from there."""
        return any(step.stage == "macvlan" for step in self.trace.request.steps)

    def _in_its_words(self, reason: str, drops: Iterable[DropSeen]) -> str:
        """What this kernel says for a reason of v6.18: an older one has no word for it, or none in that place."""
        unnamed = reason not in self.truth.reasons or any(
            (reason, drop.location) == (later, function) and drop.reason == "NOT_SPECIFIED" and witness not in self.truth.reasons
            for drop in drops for later, function, witness in LATER)
        return "NOT_SPECIFIED" if unnamed else reason

    # -- the answer --------------------------------------------------------------------------------------------------
    def _answer(self) -> None:
        leg, truth = self.trace.request, self.truth
        reply = self.trace.reply
        got = [plain_seen(s) for s in truth.answer]
        if reply is None:
            if got:
                self._add("answer", f"predicted no answer ({leg.verdict}), seen {_show(got)}")
            return
        if not self._answers():
            return
        if reply.verdict == DEPENDS:
            ways = [(o.fate.verdict, [plain(s, self.names) for s in o.sightings]) for o in reply.outcomes]
            if not any(self._alike(way, got[:len(way)] if verdict == DEPENDS else got) for verdict, way in ways):
                self._add("answer", f"none of the answer's outcomes came true, seen {_show(got)}")
            return
        want = [plain(s, self.names) for s in reply.sightings]
        if self._to_many():  # a packet to many has many answers; only one of them was asked about
            all_of_them, got = got, [each for each in got if each in want]
            if self._alike(want, got) and len(all_of_them) > len(got):
                return  # and whose drop is seen cannot be told
        if not self._alike(want, got):
            self._add("answer", f"predicted {_show(want)}\n      seen      {_show(got)}")
            return
        whose = ("answer", "?", "request") if self._cut() else ("answer", "?")
        drops = [d.reason for d in truth.drops if d.kind in whose]
        if reply.verdict in (DROPPED, REJECTED) and reply.drop is not None:
            reason = self._in_its_words(reply.drop.reason, truth.drops)
            # Whose of two packets waiting for one neighbour was which cannot always be told.
            waited = [d.reason for d in truth.drops if d.location in GIVEN_UP]
            if drops and reason not in drops + waited and not self._redirected() and not self._elsewhere(reply.drop):
                self._add("answer", f"predicted the answer's drop {reason}, seen {truth.drops}")
        else:
            # Our raw TCP sender has no socket: what is at its address instead (nothing, a listener, a half-open connection)
            # refuses the answer in its own way, after it has got through.
            refused = {"SOCKET_FILTER", "NO_SOCKET", "OTHERHOST"} | BENIGN
            if self._cut() and leg.drop is not None:
                refused |= {leg.drop.reason}  # another fragment's
            # A copy that a promiscuous bridge hands up ends elsewhere, as foretold.
            refused |= {str(step.detail["drop"]) for step in reply.steps if step.detail and "drop" in step.detail}
            if self.sender.tag.proto == 6:
                refused |= {"TCP_FLAGS", "TCP_RESET", "TCP_OVERWINDOW", "TCP_INVALID_SYN", "TCP_INVALID_ACK_SEQUENCE"}
            if not self._to_many() and any(d.kind == "answer" and d.reason not in refused and not self._taken(d) for d in truth.drops):
                self._add("answer", f"predicted the answer gets through ({reply.verdict}), seen {truth.drops}")

    def _cut(self) -> bool:
        """Whether the packet was sent on in fragments, or came in such. Whose a drop is that no tap has seen cannot be told then: fragments
        are new packets, and the memory of those that were put together is used again at once."""
        return any(s.ident for s in self.truth.sightings) or any(
            "fragments" in (step.detail or ()) for step in self.trace.request.steps)

    def _taken(self, drop: DropSeen) -> bool:
        """Before v6.3 icmpv6_rcv() (net/ipv6/icmp.c) frees errors that it has taken as if they were dropped."""
        return (drop.reason, drop.location) == ("NOT_SPECIFIED", "icmpv6_rcv") and "IPV6_BAD_EXTHDR" not in self.truth.reasons

    def _answers(self) -> bool:
        """Whether the receiving program answers at all: a UDP program that is not one of ours does not."""
        if self.trace.request.verdict == DELIVERED and self.sender.tag.proto == 17:
            return bool(self.truth.receivers) and bool(self.sender.spec.get("answer", True))
        return True

    def _third_leg(self) -> bool:
        """Whether something follows the answer, seen or not: a raw sender's host resets a connection it knows nothing of, and
        an answer that is refused is answered in turn."""
        reply = self.trace.reply
        if reply is not None and reply.verdict == REJECTED:
            return True
        if self._redirected() or self._more_answers():
            return True
        return self.sender.tag.proto in (6, 17) and self.sender.spec["how"] != "socket" and bool(self.truth.answer)

    def _more_answers(self) -> bool:
        """Whether each of several copies was answered: only the first answer is walked."""
        said = [name for _, name in self.trace.request.counters if name in ("IcmpOutMsgs", "Icmp6OutMsgs", "TcpOutRsts")]
        return len(said) > 1

    def _redirected(self) -> bool:
        """A redirect goes its own way beside the packet, and may be dropped on it."""
        return any(moved.get("IcmpOutRedirects") or moved.get("Icmp6OutRedirects") for moved in self.truth.counters.values())

    # -- counters and rules -------------------------------------------------------------------------------------------
    def _counters(self) -> None:
        predicted: dict[tuple[str, str], int] = {}
        legs = [self.trace.request] + ([self.trace.reply] if self.trace.reply and self._answers() else [])
        if any(leg.verdict == DEPENDS for leg in legs) or self.truth.others or self._third_leg():
            return
        for leg in legs:
            for netns, name in leg.counters:
                key = (self.names.get(netns, netns), name)
                predicted[key] = predicted.get(key, 0) + 1
        perhaps = {(self.names.get(netns, netns), counter) for leg in legs for netns, counter in leg.maybe_counted}
        wrong = []
        for name in self.truth.counters:
            for counter in COUNTED:
                if (name, counter) in perhaps:
                    continue
                want, got = predicted.get((name, counter), 0), self.truth.counters[name].get(counter, 0)
                if counter.startswith(("Ip6", "Icmp6")) and got > want and ":" not in self.sender.spec["dst"]:
                    continue  # multicast listener reports of a link that goes up or down
                if counter.startswith(("Icmp6Out", "Ip6OutDiscards", "Ip6InNoRoutes")) and got > want and any(
                        s.kind == "nd" for s in self.truth.arp):
                    # Rules drop neighbour discovery, or answer it, too; and a device has its multicast route only once link watch has
                    # seen its carrier, on 6.1 up to a second later (net/core/link_watch.c, net/ipv6/addrconf.c: addrconf_notify).
                    continue
                if counter in ("Ip6OutNoRoutes", "Ip6InAddrErrors") and got > want and any(s.kind == "nd" for s in self.truth.arp) and any(
                        item["do"] == "xt" and "NPT " in item["line"] for item in self.built.host["items"]):
                    # An advertisement that NPT has given another destination is routed: no further where nothing is forwarded (ip6_forward),
                    # and the error about it to nowhere.
                    continue
                if counter == "IpOutNoRoutes" and self.sender.tag.proto == 1:
                    continue  # ping sockets count it, raw sockets do not: the question cannot tell which is meant
                if want != got:
                    wrong.append(f"{name}: {counter} predicted +{want}, moved +{got}")
        if wrong:
            self._add("counters", "; ".join(wrong))

    def doubtful(self) -> set[RuleKey] | None:
        """Rules of which nothing definite was foretold; None: of none at all, since several ends were, or the answer's depends."""
        leg = self.trace.request
        if leg.verdict == DEPENDS:
            return self.perhaps if len(leg.outcomes) == 1 else None
        return None if any(leg.verdict == DEPENDS for leg in self._legs()) else self.perhaps

    def _legs(self) -> list[Leg]:
        return [self.trace.request] + ([self.trace.reply] if self.trace.reply and self._answers() else [])

    def _rules(self) -> None:
        legs = self._legs()
        if any(leg.verdict == DEPENDS for leg in legs):
            return
        predicted: dict[RuleKey, int] = {}
        texts: dict[RuleKey, str] = {}
        for leg in legs:
            for rule in leg.rules_hit:
                key = rule_key(rule, self.names)
                predicted[key] = predicted.get(key, 0) + 1
                texts[key] = rule.text
        more = any(s.kind != "arp" for s in self.truth.others + self.truth.arp) or self._third_leg()
        wrong = []
        for key in sorted({*predicted, *self.truth.rules}):
            want, got = predicted.get(key, 0), self.truth.rules.get(key, 0)
            # ARP frames meet the rules of bridges and devices too.
            noisy = more or key in self.perhaps or (bool(self.truth.arp) and key[2] in ("bridge", "netdev", "arp"))
            if got < want or (got > want and not noisy):
                if got == 0 and key not in self.truth.rules and key[5] == 0:
                    continue  # a policy without a counter
                wrong.append(f"{key} {texts.get(key) or self.texts.get(key, '')!r} predicted +{want}, moved +{got}")
        if wrong:
            self._add("rules", "; ".join(wrong))

    def _rules_so_far(self, leg: Leg) -> None:
        """Of a packet that was followed to where nothing more is known: the rules it came by were hit all the same."""
        predicted: dict[RuleKey, int] = {}
        for rule in leg.rules_hit:
            key = rule_key(rule, self.names)
            predicted[key] = predicted.get(key, 0) + 1
        wrong = [f"{key} {self.texts.get(key, '')!r} predicted +{want}, moved +{self.truth.rules.get(key, 0)}"
                 for key, want in sorted(predicted.items())
                 if self.truth.rules.get(key, 0) < want and (key[5] or key in self.truth.rules)]
        # At a VRF or an ipvlan the walk ends, and not the packet's way past rules.
        goes_on = any(re.search(" type (vrf|ipvlan) ", item.get("line", "")) for item in self.built.host["items"])
        if not self.truth.answer and not self.truth.others and not self.truth.arp and not goes_on:
            wrong += [f"{key} {self.texts.get(key, '')!r} predicted +0, moved +{moved}" for key, moved in sorted(self.truth.rules.items())
                      if key[5] and key not in predicted and key not in self.perhaps]
        if wrong:
            self._add("rules", "; ".join(wrong))


def _same_per_namespace(want: list[Plain], got: list[Plain]) -> bool:
    """Copies of a flooded frame run beside each other: their order across namespaces means nothing, within one it does."""
    if sorted(want) != sorted(got):
        return False
    for name in {w[0] for w in want}:
        if [w for w in want if w[0] == name] != [g for g in got if g[0] == name]:
            mine = [w for w in want if w[0] == name]
            # Two copies inside one namespace (a bridge flooding to ports there) are beside each other too.
            if sorted(mine) != sorted(g for g in got if g[0] == name):
                return False
    return True


def _show(sightings: list[Plain]) -> str:
    return " ".join(f"{ns}/{dev}:{way} {src}.{sport}>{dst}.{dport}{part and f' ({part})'}"
                    for ns, dev, way, src, dst, sport, dport, _, part in sightings) or "nothing"


def _who(judgement: Judgement) -> str:
    return ", ".join(f"{r.ns.name}: {r.item['proto']} {r.item['addr']}:{r.item['port']}" for r in judgement.truth.receivers)
