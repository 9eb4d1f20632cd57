"""Deliberate faults in the program under test, one at a time: each has to be found, or the harness is not worth much.

Every fault is a patch of one function, in the spirit of mistakes somebody could really make (and some have: see the style
notes on KubeSkoop). ``scripts/judge --self-test`` puts them in one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

Patch = tuple[str, str, Callable[[Any], Any]]
"""(module, attribute path, what makes the faulty one of the right one)."""
FAULTS: dict[str, list[Patch]] = {}


def _fault(name: str, module: str, attribute: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def register(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        FAULTS.setdefault(name, []).append((module, attribute, make))
        return make
    return register


@contextmanager
def applied(name: str) -> Iterator[None]:
    """With the named fault in place; "" for none."""
    patches = []
    try:
        for module, attribute, make in FAULTS[name] if name else ():
            owner: Any = import_module(module)
            *path, last = attribute.split(".")
            for part in path:
                owner = getattr(owner, part)
            patch = mock.patch.object(owner, last, make(getattr(owner, last)))
            patch.start()
            patches.append(patch)
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


# -- netfilter --------------------------------------------------------------------------------------------------------
@_fault("hook order swapped: the highest priority runs first", "pktdiag.netfilter.hook_table", "in_order")
def _(right: Any) -> Any:
    return lambda found: list(reversed(right(found)))


@_fault("among equal priorities the older chain runs first", "pktdiag.netfilter.hook_table", "_youth")
def _(right: Any) -> Any:
    return lambda entry: tuple(-number for number in right(entry))


@_fault("NAT applied after routing", "pktdiag.walk.ip_input", "run_hook")
def _(right: Any) -> Any:
    def wrong(walk: Any, ns: Any, pf: int, hook: int, skb: Any, indev: Any, outdev: Any, stage: str, **kw: Any) -> bool:
        from pktdiag.walk import route
        before = skb.packet
        if not right(walk, ns, pf, hook, skb, indev, outdev, stage, **kw):
            return False
        if hook == 0 and skb.packet.dst != before.dst:
            skb.route = route.input_(walk, ns, indev, before, skb.mark)
        return True
    return wrong


@_fault("destination NAT never rewrites the packet", "pktdiag.conntrack.manip", "apply")
def _(right: Any) -> Any:
    return lambda packet, conn, state, hook: packet if hook in (0, 3) else right(packet, conn, state, hook)


@_fault("answers are not translated back", "pktdiag.conntrack.manip", "apply")
def _(right: Any) -> Any:
    return lambda packet, conn, state, hook: packet if state in (3, 4) else right(packet, conn, state, hook)


@_fault("every packet belongs to a new connection", "pktdiag.conntrack.track", "_find")
def _(right: Any) -> Any:
    return lambda *args: None


@_fault("nft: RETURN treated as accept", "pktdiag.netfilter.nft.evaluate", "_Walk.rule")
def _(right: Any) -> Any:
    def wrong(self: Any, rule: Any) -> Any:
        verdict = right(self, rule)
        return verdict._replace(code=1) if verdict is not None and verdict.code == -5 else verdict
    return wrong


@_fault("nft: GOTO treated as jump", "pktdiag.netfilter.nft.evaluate", "_Walk.rule")
def _(right: Any) -> Any:
    def wrong(self: Any, rule: Any) -> Any:
        verdict = right(self, rule)
        return verdict._replace(code=-3) if verdict is not None and verdict.code == -4 else verdict
    return wrong


@_fault("nft: a chain's drop policy is ignored", "pktdiag.netfilter.nft.evaluate", "_Walk.policy")
def _(right: Any) -> Any:
    def wrong(self: Any) -> Any:
        from pktdiag.netfilter.context import ACCEPT
        right(self)
        return ACCEPT
    return wrong


@_fault("legacy tables are not looked at", "pktdiag.netfilter.hook_table", "_legacy")
def _(right: Any) -> Any:
    return lambda *args: []


@_fault("chains of family inet are not looked at", "pktdiag.netfilter.hook_table", "_chain_families")
def _(right: Any) -> Any:
    return lambda pf: right(pf)[:1]


@_fault("rules count also when they do not match", "pktdiag.netfilter.nft.evaluate", "_Walk.unmatched")
def _(right: Any) -> Any:
    def wrong(self: Any, rule: Any, index: int, hit: bool) -> None:
        right(self, rule, index, hit)
        if not hit:
            self.hit(rule)
    return wrong


@_fault("a filter decides with the mark the packet came with", "pktdiag.walk.xmit", "scrub")
def _(right: Any) -> Any:
    def wrong(skb: Any, *, crossing: bool) -> None:
        mark = skb.mark
        right(skb, crossing=crossing)
        skb.mark = mark
    return wrong


# -- bridges ------------------------------------------------------------------------------------------------------------
@_fault("br_netfilter ignored", "pktdiag.walk.br_netfilter", "calls")
def _(right: Any) -> Any:
    return lambda *args: False


@_fault("a frame for another station is taken in", "pktdiag.walk.ip_input", "PACKET_OTHERHOST")
def _(right: Any) -> Any:
    return 99


# -- routing --------------------------------------------------------------------------------------------------------------
@_fault("rp_filter and martian sources skipped", "pktdiag.walk.route", "validate_source")
def _(right: Any) -> Any:
    return lambda *args, **kw: None


@_fault("the longest prefix does not win", "pktdiag.walk.fib", "matching_routes")
def _(right: Any) -> Any:
    return lambda ns, flow, table: list(reversed(right(ns, flow, table)))


@_fault("policy rules are ignored", "pktdiag.walk.fib", "_rule_matches")
def _(right: Any) -> Any:
    return lambda walk, ns, rule, flow: rule.priority in (0, 32766, 32767) and right(walk, ns, rule, flow)


@_fault("every host forwards", "pktdiag.walk.route", "addr")
def _(right: Any) -> Any:
    class Wrong:
        def __getattr__(self, name: str) -> Any:
            return getattr(right, name)

        @staticmethod
        def conf(ns: Any, family: int, device: str, key: str) -> int:
            return 1 if key == "forwarding" else int(right.conf(ns, family, device, key))
    return Wrong()


@_fault("forwarding does not look at the TTL", "pktdiag.walk.ip_forward", "_checks4")
def _(right: Any) -> Any:
    def wrong(walk: Any, ns: Any, dev: Any, skb: Any, decision: Any, out: Any) -> bool:
        ttl = skb.packet.ttl
        skb.packet = skb.packet._replace(ttl=64)
        passed = right(walk, ns, dev, skb, decision, out)
        skb.packet = skb.packet._replace(ttl=max(1, ttl - 1))
        return bool(passed)
    return wrong


@_fault("every neighbour is found", "pktdiag.walk.neighbour", "resolve")
def _(right: Any) -> Any:
    return lambda walk, ns, dev, next_hop, skb: right(walk, ns, dev, next_hop, skb) or b"\x02\0\0\0\xaa\xaa"


# -- the socket -----------------------------------------------------------------------------------------------------------
@_fault("a socket on another address gets the packet", "pktdiag.walk.sockets", "_score")
def _(right: Any) -> Any:
    def wrong(sock: Any, packet: Any, dev: Any) -> Any:
        return right(sock._replace(local=bytes(len(sock.local))), packet, dev)
    return wrong


@_fault("a TCP listener takes every segment for a connection", "pktdiag.walk.local", "TCP_ACK")
def _(right: Any) -> Any:
    return 0


@_fault("refusals are silent: no ICMP error", "pktdiag.walk.icmp", "error")
def _(right: Any) -> Any:
    return lambda *args, **kw: False
