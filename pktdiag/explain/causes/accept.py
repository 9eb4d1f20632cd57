"""Accepting a packet in front of the rule or policy that drops it: the command, and the same rule on a what-if view."""

from __future__ import annotations

from pktdiag.explain.causes import managers
from pktdiag.explain.causes.case import Case, Proposal, inside, word
from pktdiag.explain.causes.makers import FAMILIES, chain_names
from pktdiag.explain.whatif import nft_rule, xt_rule
from pktdiag.explain.whatif.changes import Change, InsertLegacyRule, InsertNftRule
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, NFPROTO_INET, PROTO_NAMES
from pktdiag.model.packet import Packet, format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef, Step

_BASE_CHAINS = {"prerouting": "PREROUTING", "input": "INPUT", "forward": "FORWARD", "output": "OUTPUT", "postrouting": "POSTROUTING"}
_TOOLS = ("iptables-legacy", "iptables-nft", "ip6tables-legacy", "ip6tables-nft")


class Selector(NamedTuple):
    """What the accepting rule asks for; what is None or empty it does not ask for."""

    packet: Packet | None = None
    """Its addresses, protocol and destination port; a later fragment has none."""
    iif: str = ""
    oif: str = ""
    answers: bool = False
    """Only packets of connections that exist (established, related)."""


def proposals(case: Case, rule: RuleRef, who: str = "") -> list[Proposal]:
    """How this packet, or what it stands for, could be let through. Empty for families no command is known for. ``who``: made the rule."""
    if rule.family not in FAMILIES or (rule.backend != "nft" and rule.backend not in _TOOLS):
        return []
    packet = case.lost
    if case.is_reply:
        return [_proposal(case, rule, "Let the answers of accepted connections back", (Selector(answers=True),)),
                _proposal(case, rule, "Accept the answer before it is dropped", (Selector(packet),))]
    came, to = devices(case)
    if who in managers.MANAGERS:
        told = managers.proposals(case, rule, who, lambda chain: (_change(case, rule, chain, Selector(packet)),), to)
        why = f"Accept this packet before it is dropped, until {who} loads its rules anew"
        return [*told, _proposal(case, rule, why, (Selector(packet),))]
    exact = _proposal(case, rule, "Accept this packet before it is dropped", (Selector(packet),))
    if rule.index or case.drop.stage != "forward" or came is None or came.kind != "bridge":
        return [exact]
    if to is not None and to.ifindex == came.ifindex:
        return [_proposal(case, rule, f"Accept what {came.name} passes between its own ports", (Selector(iif=came.name, oif=came.name),))]
    return [_proposal(case, rule, f"Accept the bridge {came.name}: what it sends, and the answers to it",
                      (Selector(iif=came.name), Selector(oif=came.name, answers=True))), exact]


def devices(case: Case) -> tuple[Link | None, Link | None]:
    """(in, out) of a packet lost while it was forwarded; (None, None) where it was not."""
    came = case.ns.link_named(case.drop.device) if case.drop.device else None
    if case.drop.stage != "forward" or came is None:
        return None, None
    steps = [step for step in case.leg.steps if step.netns == case.ns.id and step.detail and "route" in step.detail]
    if not steps or bridged(case):
        return came, came if bridged(case) else None
    oif = (steps[-1].detail or {})["route"].get("oif")
    return came, case.ns.link(oif) if oif else None


def bridged(case: Case) -> bool:
    """The packet met the IP hooks while a bridge was forwarding its frame (br_netfilter), on its own way through there."""
    if case.drop.stage not in ("prerouting", "forward", "postrouting"):
        return False
    visit: list[Step] = []
    for step in case.leg.steps:
        if step.netns != case.ns.id or step.stage == "device-receive":
            visit = []
        if step.netns == case.ns.id:
            visit.append(step)
    detour = [number for number, step in enumerate(visit) if step.stage == "bridge-prerouting" and step.text.startswith("br_netfilter:")]
    return bool(detour) and all(step.stage != "routing" for step in visit[detour[-1]:])


def _proposal(case: Case, rule: RuleRef, why: str, selectors: tuple[Selector, ...]) -> Proposal:
    chain = rule.chain if rule.backend == "nft" else _BASE_CHAINS.get(case.drop.stage, rule.chain)
    if chain == "FORWARD" and rule.table == "filter" and "DOCKER-USER" in chain_names(case.ns, rule):
        chain = "DOCKER-USER"
    commands = tuple(inside(case, _command(case, rule, chain, selector)) for selector in selectors)
    return Proposal(why, commands, tuple(_change(case, rule, chain, selector) for selector in selectors))


def _command(case: Case, rule: RuleRef, chain: str, selector: Selector) -> str:
    if rule.backend == "nft":
        return f"nft insert rule {rule.family} {word(rule.table)} {word(chain)} {_nft_words(selector)} accept"
    tool = rule.backend
    if rule.family == "ip6" and tool.startswith("iptables"):
        tool = tool.replace("iptables", "ip6tables")
    return f"{tool} {'' if rule.table == 'filter' else f'-t {rule.table} '}-I {word(chain)} {_xt_words(selector)} -j ACCEPT"


def _xt_words(selector: Selector) -> str:
    words = []
    packet = selector.packet
    if packet is not None:
        words.append(f"-s {format_address(packet.src)} -d {format_address(packet.dst)} -p {PROTO_NAMES.get(packet.proto, packet.proto)}"
                     + (f" --dport {packet.dport}" if packet.bears_ports else ""))
    words += [f"{flag} {word(name)}" for flag, name in (("-i", selector.iif), ("-o", selector.oif)) if name]
    if selector.answers:
        words.append("-m conntrack --ctstate RELATED,ESTABLISHED")
    return " ".join(words)


def _nft_words(selector: Selector) -> str:
    words = []
    packet = selector.packet
    if packet is not None:
        ip = "ip" if packet.family == AF_INET else "ip6"
        name = PROTO_NAMES.get(packet.proto, str(packet.proto))
        words.append(f"{ip} saddr {format_address(packet.src)} {ip} daddr {format_address(packet.dst)} "
                     + (f"{name} dport {packet.dport}" if packet.bears_ports else f"meta l4proto {name}"))
    words += [f"{key} {word(name)}" for key, name in (("iifname", selector.iif), ("oifname", selector.oif)) if name]
    if selector.answers:
        words.append("ct state established,related")
    return " ".join(words)


def _change(case: Case, rule: RuleRef, chain: str, selector: Selector) -> Change:
    family = FAMILIES[rule.family]
    packet = selector.packet
    if rule.backend.endswith("-legacy"):
        entry = xt_rule.accept_entry(case.packet.family, packet.src if packet else None, packet.dst if packet else None,
                                     packet.proto if packet else 0, selector.iif, selector.oif, selector.answers)
        return InsertLegacyRule(case.ns.id, case.packet.family, rule.table, chain, entry)
    expressions = b""
    if packet is not None:
        guard = nft_rule.match_family(packet.family) if family == NFPROTO_INET else b""
        ports = nft_rule.match_port(packet.proto, packet.dport) if packet.bears_ports else nft_rule.match_protocol(packet.proto)
        expressions = (guard + nft_rule.match_address(packet.src, destination=False) + nft_rule.match_address(packet.dst, destination=True)
                       + ports)
    for name, out in ((selector.iif, False), (selector.oif, True)):
        if name:
            expressions += nft_rule.match_device(name, out=out)
    if selector.answers:
        expressions += nft_rule.match_answers()
    payload = nft_rule.rule(family, rule.table, chain, expressions + nft_rule.counter() + nft_rule.accept())
    return InsertNftRule(case.ns.id, family, rule.table, chain, payload)
