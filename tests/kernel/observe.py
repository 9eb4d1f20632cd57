"""Takes the truth about one packet: taps on every device, the socket that got it, the drop reason, the counters."""

from __future__ import annotations

import contextlib
import select
import time
from typing import NamedTuple

from .build import SLOWER, Built, Listener
from .counters import Counters, RuleKey
from .frames import Seen, Tag, answer_to, like_their_first, seen
from .send import Sender
from .tap import Tap
from .tracer import Event, Tracer

ETH_P_ARP = 0x0806
QUIET = 0.002
"""Seconds without any event after which nothing more is expected: softirq work runs inside the send itself."""
ENDLESS = 5.0
"""Seconds after which nobody waits for a packet's end: frames that rules send round (netdev fwd) never grow old."""
PENDING = 0.25 * SLOWER
"""Seconds an unanswered neighbour question may keep a packet waiting (2 probes 20 ms apart, timer slack)."""
SLOW = 1.0
"""As many more where silence was foretold and nothing has been dropped so far: an emulated kernel beside other tests takes its time."""
NOT_OURS = ("rtnl_", "packet_rcv", "neigh_get", "netlink", "unix_", "__unix", "skb_queue_purge", "sk_stream", "udp_destruct", "nf_send_reset", "inet_sock_destruct", "skb_release_data")
"""Functions whose kfree_skb is housekeeping: sockets being closed, taps being emptied, fragments freed with the packet they are in."""


class NotSentError(Exception):
    """The frame to inject did not get onto the wire: there is nothing to judge."""


GIVEN_UP = ("neigh_invalidate", "ndisc_error_report")
"""Where a packet ends whose next hop did not answer; IPv6 names no reason there."""


class DropSeen(NamedTuple):
    """One ``skb:kfree_skb`` that concerns the lab."""

    reason: str
    location: str
    device: str
    """The device of the skb's last ``net:`` event, "" where it had none yet (local output)."""
    kind: str
    """Whose it was: "request", "answer", "other", "arp"; "?" where that could not be told."""


class Truth(NamedTuple):
    sightings: tuple[Seen, ...]
    """Of the packet itself, in order."""
    answer: tuple[Seen, ...]
    others: tuple[Seen, ...]
    """Whatever followed: a third leg, redirects."""
    arp: tuple[Seen, ...]
    receivers: tuple[Listener, ...]
    drops: tuple[DropSeen, ...]
    error: str
    counters: dict[str, dict[str, int]]
    rules: dict[RuleKey, int]
    reasons: frozenset[str]
    """The drop reasons this kernel has names for."""


class Observer:
    """Taps and open counters over one built host."""

    def __init__(self, built: Built, tracer: Tracer, pid: int) -> None:
        self.built, self.tracer, self.pid = built, tracer, pid
        self._poll = select.epoll()
        self._taps: dict[int, tuple[Tap, str]] = {}
        self.counters = {name: Counters(ns) for name, ns in built.namespaces.items()}
        for name, ns in built.namespaces.items():
            tap = Tap(ns)
            self._taps[tap.fileno()] = (tap, name)
            self._poll.register(tap.fileno(), select.EPOLLIN)
        self._udp: dict[int, Listener] = {}
        for listener in built.listeners:
            if listener.item["proto"] != "tcp":
                self._udp[listener.sock.fileno()] = listener
                self._poll.register(listener.sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        for tap, _ in self._taps.values():
            tap.close()
        for counters in self.counters.values():
            counters.close()
        self._poll.close()

    def settle(self) -> None:
        """Throws away what building the host, or the last packet, left in the queues."""
        while self._poll.poll(QUIET / 2):
            self._collect(None, [], [], [])
        self.tracer.drain()

    def run(self, sender: Sender, patient: bool = False) -> Truth:
        """Sends, waits until nothing moves any more, and returns what happened.

        ``patient``: stays for as long as a neighbour has to answer, whether or not anyone was seen asking.
        """
        self.settle()
        before = {name: (c.snmp(), c.rules()) for name, c in self.counters.items()}
        captured: list[Seen] = []
        receivers: list[Listener] = []
        events: list[Event] = []
        answer = sender.spec.get("answer", True)
        sender.send()
        deadline, endless = 0.0, time.monotonic() + ENDLESS
        while True:
            ready = self._poll.poll(QUIET)
            events += self.tracer.drain()
            if ready:
                self._collect(sender.tag, captured, receivers, [answer])
                if time.monotonic() > endless:
                    raise NotSentError("something goes in circles")
                continue
            now = time.monotonic()
            if not (patient or self._pending(captured, events, sender.error, bool(receivers))):
                break
            if now > deadline > 0 and (events or not patient or now > deadline + SLOW):
                break
            deadline = deadline or now + PENDING
        events += self.tracer.drain()
        captured = like_their_first(merge(captured))
        for sight in captured:
            opens = {"request": 0x02, "answer": 0x12}.get(sight.kind) if sight.proto == 6 and not sight.frag else None
            if opens is not None and int(sight.what, 16) & 0x17 == opens:
                self.built.begun[(sight.src, sight.sport, sight.dst, sight.dport)] = sight.seq
                # and under the addresses its sender knows, whatever NAT made of them before the first tap
                spec, ours = sender.spec, sight.src if opens == 0x02 else sight.dst
                here, there = (spec["src"] or ours, spec.get("sport", 0)), (spec["dst"], spec.get("dport", 0))
                self.built.begun[(*here, *there) if opens == 0x02 else (*there, *here)] = sight.seq
        everything = list(captured)
        spec = sender.spec
        if spec["how"] == "frame":
            # The injecting device's own "out" is the sender's, not the walk's: it starts at the other end.
            own = next((s for s in captured if s.kind == "request" and s.netns == spec["ns"] and s.device == spec["dev"]
                        and s.direction == "out"), None)
            if own is None or sender.error:
                raise NotSentError(sender.error or "it never left the injecting device")
            captured.remove(own)
        counters: dict[str, dict[str, int]] = {}
        rules: dict[RuleKey, int] = {}
        for name, reader in self.counters.items():
            snmp, hit = before[name]
            counters[name] = {key: value - snmp.get(key, 0) for key, value in reader.snmp().items() if value != snmp.get(key, 0)}
            rules.update({key: value - hit.get(key, 0) for key, value in reader.rules().items() if value != hit.get(key, 0)})
            if counters[name].get("TcpInSegs"):
                self.built.forget_half_open(name)
        by_mss = {listener.mss: listener for listener in self.built.listeners}
        accepted = next((s for s in captured if s.kind == "answer" and s.direction == "out" and s.mtu in by_mss and s.proto == 6), None)
        if accepted is not None:
            receivers.append(by_mss[accepted.mtu])
        drops = self._drops(events, everything, 0x86DD if ":" in spec["dst"] else 0x0800, spec["dst"].startswith("ff"))
        kinds: dict[str, list[Seen]] = {"request": [], "answer": [], "arp": [], "nd": [], "other": [], "none": []}
        for sight in captured:
            kinds[sight.kind].append(sight)
        return Truth(tuple(kinds["request"]), tuple(kinds["answer"]), tuple(kinds["other"]), tuple(kinds["arp"] + kinds["nd"]),
                     tuple(receivers), drops, sender.error, counters, rules, self.tracer.reasons)

    def _collect(self, tag: Tag | None, captured: list[Seen], receivers: list[Listener], answer: list[bool]) -> None:
        for tap, name in self._taps.values():
            for frame, when, address in tap.read():
                if tag is not None:
                    captured.append(seen(frame, when, name, address, tag))
        for listener in self._udp.values():
            while True:
                try:
                    data, source = listener.sock.recvfrom(65600)
                except BlockingIOError:
                    break
                except OSError:
                    continue
                if tag is None or tag.token not in data[:16]:
                    continue
                receivers.append(listener)
                if answer and answer[0] and data.startswith(tag.token):
                    with contextlib.suppress(OSError):
                        listener.sock.sendto(answer_to(tag.token) + data[len(tag.token):], source)

    @staticmethod
    def _pending(captured: list[Seen], events: list[Event], error: str, received: bool) -> bool:
        """Whether some neighbour question has neither been answered nor given up."""
        moved = [s for s in captured if s.kind in ("request", "answer")]
        ends = [e for e in events if e.name == "kfree_skb" and not e.location.startswith((*NOT_OURS, "ip6_mc_input"))]
        if not error and not received and not ends and (
                not captured or (moved and moved[-1].kind == "request" and moved[-1].direction == "in")):
            # Neither sent on nor dropped: it may wait for a question that could not even be sent (ndisc_send_ns without a
            # link-local address).
            return True
        asked = {s.dst for s in captured if s.kind == "arp" and s.what == "ask"}
        asked |= {s.dst for s in captured if s.kind == "nd" and s.what == "135/0"}
        if any(e.name == "kfree_skb" and e.protocol == ETH_P_ARP for e in events):
            # Asked on a device without carrier: the question never got past the qdisc, where no tap could see it.
            return not any(e.reason == "NEIGH_FAILED" for e in events)
        if not asked:
            return False
        answered = {s.src for s in captured if s.kind == "arp" and s.what == "reply"}
        answered |= {s.src for s in captured if s.kind == "nd" and s.what == "136/0"}
        if any(s.kind == "nd" for s in captured):
            return len([e for e in events if e.reason == "NEIGH_FAILED"]) == 0 and not any(
                s.what == "136/0" and s.direction == "in" for s in captured)
        open_ = asked - answered
        failed = sum(e.reason == "NEIGH_FAILED" for e in events)
        return failed < len(open_)

    def _drops(self, events: list[Event], captured: list[Seen], ethertype: int, multicast: bool) -> tuple[DropSeen, ...]:
        """The kfree_skb events of the lab, each with what its skb was carrying.

        The n-th ``net:`` event of a device and direction is the n-th capture there, so an skb address gets the kind of
        its captures. An skb that never had one (dropped in local output) is the request as long as nothing moved yet.
        """
        not_ours = NOT_OURS if multicast else (*NOT_OURS, "ip6_mc_input")
        sights: dict[tuple[str, str], list[Seen]] = {}
        for sight in captured:
            sights.setdefault((sight.device, sight.direction), []).append(sight)
        directions = {"net_dev_queue": "out", "netif_receive_skb": "in"}
        total: dict[tuple[str, str], int] = {}
        for event in events:
            if event.name in directions:
                key = (event.device, directions[event.name])
                total[key] = total.get(key, 0) + 1
        where: dict[str, tuple[str, str]] = {}
        count: dict[tuple[str, str], int] = {}
        drops: list[DropSeen] = []
        moved = False
        for event in events:
            if event.name in directions:
                key = (event.device, directions[event.name])
                there = sights.get(key)
                if there is None:
                    continue  # another lab's device, or the machine's own
                n = count[key] = count.get(key, 0) + 1
                kind = there[n - 1].kind if total[key] == len(there) else "?"
                where[event.skb] = (event.device, kind)
                moved = moved or kind in ("request", "answer")
            elif event.name == "kfree_skb" and event.protocol in (0, ethertype) and not event.location.startswith(not_ours):
                device, kind = where.get(event.skb, ("", ""))
                if not kind or kind == "arp" or (kind == "nd" and event.location in GIVEN_UP):
                    # Not known, or an address used again: this is no ARP packet, and questions wait for no neighbour.
                    if event.pid != self.pid and event.reason != "NEIGH_FAILED" and event.location not in GIVEN_UP:
                        continue
                    kind = "?" if moved or drops else "request"
                    if event.reason == "NEIGH_FAILED":
                        # Its ICMP error was sent just before (net/ipv4/arp.c: arp_error_report). A packet that had been on some
                        # device would be known by its address, so this one is of the host's own making.
                        kind = "answer" if any(s.kind == "request" for s in captured) else "request"
                    if event.location in GIVEN_UP and drops and drops[-1].kind == "request" and not drops[-1].device and not moved:
                        # The first that ends is the error about the one that waited: see above.
                        drops[-1], kind = drops[-1]._replace(kind="?"), "request"
                drops.append(DropSeen(event.reason, event.location, device, kind))
        return tuple(drops)


def merge(captured: list[Seen]) -> list[Seen]:
    """The captures of all taps in one order: by time, but never against the order in which one namespace's tap saw them
    (a bridge hands a frame up with the time stamp it got on the port)."""
    queues: dict[str, list[Seen]] = {}
    for sight in captured:
        queues.setdefault(sight.netns, []).append(sight)
    result: list[Seen] = []
    while queues:
        name = min(queues, key=lambda n: queues[n][0].when)
        result.append(queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    return result
