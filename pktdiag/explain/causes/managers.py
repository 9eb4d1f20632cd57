"""Firewalls that keep rules of their own, and write them anew from what they were told: what to tell them.

A rule put beside theirs with nft or iptables lasts until they reload. Facts: ufw(8) (``prepend``, ``route``; user rules are in the
chains ufw-user-*); firewall-cmd(1), firewalld.policies(5), firewalld.richlanguage(5) (rules of negative priority stand in a zone's
chain "_pre", what a zone accepts in "_allow", policies between zones in front of both).
"""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Proposal, inside, word
from pktdiag.explain.causes.makers import chain_names
from pktdiag.model.kernel import AF_INET, IPPROTO_TCP, IPPROTO_UDP, PROTO_NAMES
from pktdiag.model.packet import format_address
from pktdiag.model.trace import RuleRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pktdiag.model.host import Link

    Opened = Callable[[str], tuple["Change", ...]]
    """The change that accepts the packet in a chain."""
    from pktdiag.explain.whatif.changes import Change

MANAGERS = ("ufw", "firewalld")


def proposals(case: Case, rule: RuleRef, who: str, opened: Opened, out: Link | None) -> list[Proposal]:
    """``out``: the device that a forwarded packet would leave by."""
    if case.is_reply or rule.table not in ("filter", "firewalld"):
        return []
    if who == "ufw":
        return _ufw(case, rule, opened, out)
    return _firewalld(case, rule, opened, out) if who == "firewalld" else []


def _ufw(case: Case, rule: RuleRef, opened: Opened, out: Link | None) -> list[Proposal]:
    stage, packet = case.drop.stage, case.lost
    chain = f"{'ufw' if rule.family == 'ip' else 'ufw6'}-user-{stage}"
    if packet.proto not in (IPPROTO_TCP, IPPROTO_UDP) or chain not in chain_names(case.ns, rule):  # ufw takes no rules for ICMP
        return []
    way = {"input": "prepend allow", "output": "prepend allow out"}.get(stage)
    if stage == "forward" and out is not None:
        way = f"route prepend allow in on {word(case.drop.device)} out on {word(out.name)}"
    if way is None:
        return []
    port = f" port {packet.dport}" if packet.bears_ports else ""
    command = f"ufw {way} proto {PROTO_NAMES[packet.proto]} from {format_address(packet.src)} to {format_address(packet.dst)}{port}"
    return [Proposal("Let ufw allow it", (inside(case, command),), opened(chain))]


def _firewalld(case: Case, rule: RuleRef, opened: Opened, out: Link | None) -> list[Proposal]:
    packet, stage = case.lost, case.drop.stage
    prefix = {"input": "IN_", "forward": "FWD_"}.get(stage)
    head = "filter_" if rule.backend == "nft" else ""
    if prefix is None or not rule.chain.startswith(head + prefix):
        return []
    zone = rule.chain[len(head + prefix):]
    part = ""
    for suffix in ("_pre", "_log", "_deny", "_allow", "_post"):
        if zone.endswith(suffix):
            zone, part = zone[:-len(suffix)], suffix
    name = PROTO_NAMES.get(packet.proto, str(packet.proto))
    what = f"--add-port={packet.dport}/{name}" if packet.bears_ports else f"--add-protocol={name}"
    if stage == "forward":
        return _between_zones(case, zone, what, head, opened, out)
    base = f"{head}{prefix}{zone}"
    if part in ("_pre", "_log", "_deny"):
        family = "ipv4" if packet.family == AF_INET else "ipv6"
        element = f'port port="{packet.dport}" protocol="{name}"' if packet.bears_ports else f'protocol value="{name}"'
        rich = f'rule priority="-100" family="{family}" source address="{format_address(packet.src)}" {element} accept'
        return [Proposal(f"Let firewalld accept it in zone {zone} ahead of what denies it there",
                         (inside(case, f"firewall-cmd --zone={word(zone)} --add-rich-rule={word(rich)}"),), opened(f"{base}_pre"))]
    return [Proposal(f"Let firewalld accept it in zone {zone} (make it last with firewall-cmd --runtime-to-permanent)",
                     (inside(case, f"firewall-cmd --zone={word(zone)} {what}"),), opened(f"{base}_allow"))]


def _between_zones(case: Case, zone: str, what: str, head: str, opened: Opened, out: Link | None) -> list[Proposal]:
    if out is None:
        return []
    policy = f"firewall-cmd --permanent --policy=from-{word(zone)}"
    commands = (f"firewall-cmd --permanent --new-policy=from-{word(zone)}", f"{policy} --add-ingress-zone={word(zone)}",
                f'{policy} --add-egress-zone="$(firewall-cmd --get-zone-of-interface={word(out.name)})"', f"{policy} {what}",
                "firewall-cmd --reload")
    return [Proposal(f"Let firewalld accept it between zone {zone} and that of {out.name}, by a policy",
                     tuple(inside(case, command) for command in commands), opened(f"{head}FORWARD_POLICIES_pre"))]
