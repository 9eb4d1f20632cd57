"""An engine's rules that are gone while its containers run: a firewall reload, ``nft -f``, ``systemctl restart iptables``."""

from __future__ import annotations

from pktdiag.explain.causes.case import Case, Proposal, inside
from pktdiag.explain.hook_owners import owner_of
from pktdiag.model.host import Link
from pktdiag.model.kernel import AF_INET, AF_INET6
from pktdiag.model.record import NamedTuple
from pktdiag.model.view import NamespaceView, Unreadable


class Flushed(NamedTuple):
    """An engine whose bridge has containers and whose rules are gone."""

    text: str
    """A clause: "Docker's chains are gone, although docker0 has 2 containers: …"."""
    proposal: Proposal


def flushed(case: Case, ns: NamespaceView | None = None) -> Flushed | None:
    """None too where it cannot be told."""
    ns = ns or case.ns
    try:
        links = ns.links().values()
        bridges = [(link, engine) for link in links if link.kind == "bridge" and (engine := _engine(link.name))]
        for bridge, engine in bridges:
            ports = [link for link in links if link.master == bridge.ifindex and link.up and link.kind == "veth"]
            if ports and not _has_rules(ns, engine):
                return _told(case, ns, bridge, engine, len(ports))
    except (Unreadable, ValueError, KeyError):
        pass
    return None


def _engine(name: str) -> str:
    """By the names the engines give their bridges: dockerd docker0 and br-<12 hex>, netavark podman<n>, the CNI cni-podman0."""
    if name == "docker0" or (name.startswith("br-") and len(name) == 15 and all(letter in "0123456789abcdef" for letter in name[3:])):
        return "Docker"
    return "Podman" if name.startswith(("podman", "cni-podman")) else ""


_OWNERS = {"Docker": ("docker",), "Podman": ("podman (netavark)", "CNI plugins")}


def _has_rules(ns: NamespaceView, engine: str) -> bool:
    return any(owner_of(name) in _OWNERS[engine] and not name.startswith("DOCKER-USER") for name in _all_chains(ns))


def _all_chains(ns: NamespaceView) -> list[str]:
    from pktdiag.netfilter.nft.load import ruleset
    from pktdiag.netfilter.nft.wire import NFGENMSG, attributes, string
    from pktdiag.netfilter.xt.evaluate import load_table

    names: list[str] = []
    if ns.nft_generation() is not None:
        tables = ruleset(ns).tables()
        names += [table.name for table in tables]
        for family in dict.fromkeys(table.family for table in tables):
            names += [string(attributes(payload, NFGENMSG), 3, "") for payload in ns.nft_chains(family)]
    for family in (AF_INET, AF_INET6):
        for table_name in ns.xt_tables(family):
            names += load_table(ns, family, table_name).chains()
    return names


def _told(case: Case, ns: NamespaceView, bridge: Link, engine: str, ports: int) -> Flushed:
    count = "a container" if ports == 1 else f"{ports} containers"
    text = f"{engine}'s chains are gone, although {bridge.name} has {count}: a firewall reload or a flush took its rules away"
    if engine == "Docker":
        proposal = Proposal("Restart Docker, which makes its rules anew (and reload firewalls before it, not after)",
                            ("systemctl restart docker",), (), True)
    else:
        proposal = Proposal("Let Podman make its rules anew", (inside(case, "podman network reload --all", ns),), (), True)
    return Flushed(text, proposal)
