"""What the program that made a rule meant by it, and what it offers instead: by the names its rules carry.

Facts: kube-proxy (pkg/proxy/iptables and nftables, proxier.go: comments, maps "no-endpoint-…"); Docker's bridge driver
(libnetwork/drivers/bridge: isolation chains; since 28 raw rules in front of container addresses, and the option
gateway_mode_ipv4; table docker-bridges of its nftables backend, with comments);
Felix (chains cali-tw-IFACE to a workload, cali-fw-IFACE from one, and comments "cali:HASH" on every rule); libvirt
(src/network/bridge_driver_linux.c: LIBVIRT_FWI rejects what is not an answer); fail2ban-client(1).
"""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Proposal, inside
from pktdiag.explain.causes.makers import chain_names
from pktdiag.explain.causes.words import comment_of
from pktdiag.model.kernel import PROTO_NAMES
from pktdiag.model.packet import format_address
from pktdiag.model.record import NamedTuple
from pktdiag.model.trace import RuleRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Meaning(NamedTuple):
    reason: str
    """Why the rule is there, as the tail of a sentence that names it; "" where it says so itself."""
    proposals: tuple[Proposal, ...] = ()
    """None of them can be tried on a view."""


NONE = Meaning("")
_UNPUBLISHED, _DIRECT = "UNPUBLISHED PORT DROP", "DROP DIRECT ACCESS"
"""Comments of Docker's nftables backend."""


def meaning(case: Case, rule: RuleRef, who: str) -> Meaning:
    return _BY_OWNER.get(who, _docker)(case, rule)


def element(case: Case, rule: RuleRef) -> dict[str, str]:
    """The element of a named set that the dropping rule fell on, or of a map that led to its chain; empty for none."""
    table = (rule.netns, rule.backend, rule.family, rule.table)
    for step in case.leg.steps[::-1]:
        there = step.rule
        if there is None or (there.netns, there.backend, there.family, there.table) != table:
            continue
        same = (there.chain, there.index) == (rule.chain, rule.index)
        for met in (step.detail or {}).get("elements", [])[::-1]:
            if same or met["element"].endswith((f"goto {rule.chain}", f"jump {rule.chain}")):
                found: dict[str, str] = met
                return found
    return {}


def _kube_proxy(case: Case, rule: RuleRef) -> Meaning:
    """A service without endpoints rejects, one whose policy is Local and that has none on this node drops."""
    said, met, reason = comment_of(rule.text), element(case, rule), ""
    if not said and met.get("set", "").startswith("no-endpoint-"):
        local = "local " if met["element"].endswith(": drop") else ""
        said = f"{met['comment'] or met['element'].split(' : ')[0]} has no {local}endpoints"
        reason = f": {said} (in {met['set']})"
    if not said:
        return NONE
    service = said.split(":")[0].split(" ")[0]
    space, _, name = service.partition("/")
    plain = name and all(letter.isalnum() or letter in "-./" for letter in service)
    command = (f"kubectl -n {space} get endpoints {name}",) if plain else ()
    why = ("Give the service an endpoint on this node, or set its externalTrafficPolicy to Cluster" if "no local endpoints" in said
           else "Give the service ready endpoints: its selector must match pods that pass their readiness checks")
    return Meaning(reason, (Proposal(why, command, ()),))


def _docker(case: Case, rule: RuleRef) -> Meaning:
    if "DOCKER-ISOLATION" in rule.chain:
        return Meaning(": Docker keeps its networks apart, and the two are not on a common one",
                       (Proposal("Connect both containers to a common Docker network", (inside(case, "docker network ls"),), ()),))
    packet, said = case.lost, comment_of(rule.text)
    publish = f"docker run -p {packet.dport}:{packet.dport}/{PROTO_NAMES[packet.proto]} …" if packet.bears_ports else "docker run -p …"
    ends = rule.chain == "DOCKER" and " ! -i " in rule.text and rule.text.endswith(" -j DROP") and "--dport" not in rule.text
    if ends or said == _UNPUBLISHED:
        return Meaning(": the container does not publish that port", (Proposal("Publish the port", (publish,), ()),))
    if not (said == _DIRECT or _guards_container(case, rule)):
        return NONE
    if "! -i lo " in rule.text:
        return Meaning(": Docker publishes that port on this host's loopback address alone",
                       (Proposal("Publish the port on an address that others reach", (publish,), ()),))
    return Meaning(": Docker, from version 28 on, lets nobody reach a container's own address from another network",
                   (Proposal("Publish the port and aim at this host's address instead", (publish,), ()),
                    Proposal("Or make the container's network anew, to be reached at its own addresses",
                             ("docker network create --opt com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected …",), ())))


def _guards_container(case: Case, rule: RuleRef) -> bool:
    """A rule like ``-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP`` of the raw table, on a host with Docker's chains."""
    return ((rule.table, rule.chain) == ("raw", "PREROUTING") and rule.text.startswith("-A PREROUTING -d ") and " ! -i " in rule.text
            and rule.text.endswith(" -j DROP")
            and any(name.startswith("DOCKER") for name in chain_names(case.ns, rule._replace(table="filter"))))


def _calico(case: Case, rule: RuleRef) -> Meaning:
    ways = {"cali-tw-": "to", "cali-fw-": "from"}
    way = ways.get(rule.chain[:8])
    said = comment_of(rule.text)
    if way is None or (said and not said.startswith("Drop if no ")):
        return NONE
    return Meaning(f": no policy allows it {way} the workload behind {rule.chain[8:]}",
                   (Proposal("Let a NetworkPolicy (or one of Calico's own) allow it", ("kubectl get networkpolicies -A",), ()),))


def _libvirt(case: Case, rule: RuleRef) -> Meaning:
    if rule.chain not in ("LIBVIRT_FWI", "guest_input"):
        return NONE
    return Meaning(": libvirt's NAT networks take no connections from outside, only answers",
                   (Proposal("Give the network a forward mode that takes them (<forward mode='route'/> or 'open') and start it anew",
                             (inside(case, "virsh net-list --all"),), ()),))


def _fail2ban(case: Case, rule: RuleRef) -> Meaning:
    banned = format_address(case.lost.src)
    return Meaning(f": fail2ban has banned {banned}",
                   (Proposal("Lift the ban, and add the address to ignoreip where it must not come back",
                             (inside(case, f"fail2ban-client unban {banned}"),), ()),))


_BY_OWNER: dict[str, Callable[[Case, RuleRef], Meaning]] = {
    "kube-proxy": _kube_proxy, "Calico": _calico, "libvirt": _libvirt, "fail2ban": _fail2ban,
}
