"""The next hop does not answer, or is not asked on the right link."""

from __future__ import annotations

from pktdiag.explain.causes import routing, rules
from pktdiag.explain.causes.case import Case, Finding, Proposal, inside, ip_tool, place, word
from pktdiag.explain.causes.words import capital, rejected, sentence
from pktdiag.explain.whatif.changes import AddRoute
from pktdiag.model.host import Route
from pktdiag.model.kernel import AF_INET
from pktdiag.model.packet import format_address, in_prefix
from pktdiag.model.trace import Drop
from pktdiag.model.view import Unreadable

_FAILED, _INCOMPLETE = 0x20, 0x01


def failed(case: Case) -> Finding:
    """Nobody answers ARP or neighbour solicitation for the next hop: because the question or the answer is lost, because two
    networks claim the address, or because nobody is there."""
    because = case.drop.because
    if because is not None and because.netns:
        found = _behind(case, because)
        if found is not None:
            return found
    dev, v4 = case.drop.device, case.packet.family == AF_INET
    what = "ARP requests" if v4 else "neighbour solicitations"
    hop = case.drop.text.split(" for ", 1)[-1].split(". ")[0].rstrip(".")
    ip = ip_tool(case)
    evidence = [f"The entry is FAILED or INCOMPLETE: {inside(case, f'{ip} neigh show {hop} dev {word(dev)}')}", *_room(case)]
    lost = "The answer is lost: " if case.is_reply else f"{capital(rejected(case))}: "
    other = _other_claim(case)
    if other is not None:
        mine, route, name = other
        summary = (f"{lost}two networks claim {format_address(case.packet.dst)}: {place(case)} takes {mine} on {dev}, where nobody "
                   f"answers, and not {_prefix(route)} through {name}")
        evidence.insert(0, f"Both routes: {inside(case, f'{ip} route show match {format_address(case.packet.dst)}')}")
        gateway = route.nexthops[0].gateway
        host = Route(254, 1, case.packet.dst, len(case.packet.dst) * 8, 0, 0, 0, 0 if gateway else 253, None, route.nexthops, None)
        via = f"via {format_address(gateway)} " if gateway else ""
        command = inside(case, f"{ip} route add {format_address(case.packet.dst)} {via}dev {word(name)}")
        return Finding(sentence(summary), tuple(evidence), (
            Proposal(f"Send this address through {name}; better, move one of the two networks to other addresses (Docker: "
                     "default-address-pools in daemon.json)", (command,), (AddRoute(case.ns.id, case.packet.family, host),)),))
    known = f" {because.text}" if because is not None and because.text else ""
    return Finding(sentence(f"{lost}nobody on {dev} answers the {what} of {place(case)} for {hop}") + known, tuple(evidence),
                   (Proposal(f"See that the machine or container with {hop} runs, is on the same link as {dev}, and is up",
                             (inside(case, f"{ip} neigh show dev {word(dev)}"),), ()),))


def _behind(case: Case, because: Drop) -> Finding | None:
    """The loss of the request itself, where something is known about that."""
    there = case.host.namespace(int(because.netns[5:-1]))
    inner = case._replace(drop=because, ns=there)
    if because.cause == "rp-filter":
        return routing.reverse_path(inner, f"the ARP requests of {place(case)}, which stay unanswered")
    if because.rule is not None:
        found = rules.dropped(inner)
        return found._replace(summary=f"The ARP exchange of {place(case)} fails. {found.summary}", proposals=())
    return None


def _room(case: Case) -> list[str]:
    """Entries against gc_thresh3, which counts for the whole host."""
    key = "net/ipv4/neigh/default/gc_thresh3"  # only the first namespace shows it (net/core/neighbour.c: neigh_sysctl_register)
    top = case.ns.sysctl(key) or case.host.current_namespace().sysctl(key)
    if not top:
        return []
    try:
        entries = [entry for index in case.ns.links() for entry in case.ns.neighbours(case.packet.family, index) if not entry.proxy]
    except Unreadable:
        return []
    bad = sum(bool(entry.state & (_FAILED | _INCOMPLETE)) for entry in entries)
    full = ": the table is full, raise it" if len(entries) >= int(top) else ""
    return [f"Neighbour entries here: {len(entries)}, of which {bad} failed or incomplete; gc_thresh3 is {top}{full}"]


def _other_claim(case: Case) -> tuple[str, Route, str] | None:
    """(network used, another route over the destination, its device), when two networks overlap there."""
    dst = case.packet.dst
    try:
        over = [route for route in case.ns.routes(case.packet.family, 254)
                if route.prefixlen and route.type == 1 and route.nexthops and in_prefix(dst, route.dst, route.prefixlen)]
    except Unreadable:
        return None
    mine = [route for route in over if _device(case, route) == case.drop.device]
    others = [route for route in over if _device(case, route) not in ("", case.drop.device)]
    if not mine or not others:
        return None
    other = max(others, key=lambda route: (route.prefixlen, -route.priority))
    return _prefix(mine[0]), other, _device(case, other)


def _device(case: Case, route: Route) -> str:
    index = route.nexthops[0].ifindex
    link = case.ns.link(index) if index else None
    return link.name if link is not None else ""


def _prefix(route: Route) -> str:
    return f"{format_address(route.dst)}/{route.prefixlen}"
